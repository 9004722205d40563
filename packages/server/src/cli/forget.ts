/**
 * `convergent forget`: destroys the key of a person's sealed data and says so in the log, also beside a running server,
 * whose views follow at once; views of a server that is not running follow at its next start.
 */
import { ConvergentError, forgetPerson, Log } from "convergent";
import { driverOf, isPostgres, ownerOf, shown } from "./store-place.ts";

export interface ForgetOptions {
  readonly store: string;
  readonly reason: string;
  readonly actor?: string;
  readonly keys?: string;
  readonly force?: true;
}

export async function forget(person: string, { store, reason, actor, keys, force }: ForgetOptions): Promise<void> {
  if (isPostgres(store) !== (keys !== undefined))
    throw new ConvergentError(
      "invalid_input",
      keys === undefined
        ? `the keys of ${shown(store)} lie outside the database; name the file that its service has as \`keys\`, by --keys`
        : `the keys of ${store} lie beside it, in ${store}-keys; leave out --keys`,
    );
  const owner = await ownerOf(store);
  const log = await Log.open(await driverOf(store, keys === undefined ? {} : { keys }), owner);
  try {
    const { pseudonym, repeated, token } = await forgetPerson(log, person, {
      reason,
      ...(actor === undefined ? {} : { actor }),
      force: force ?? false,
    });
    const position = token.entries[0]?.position ?? 0;
    await log.scrub();
    console.log(
      repeated
        ? `"${person}" was forgotten before, as ${pseudonym} at position ${position}`
        : `"${person}" is forgotten, as ${pseudonym} at position ${position}: the key is destroyed. Views of a running server follow now, others when it is started`,
    );
  } finally {
    await log.close();
  }
}
