/**
 * `convergent forget`: destroys the key of a person's sealed data and says so in the log, also beside a running server,
 * whose views follow at once; views of a server that is not running follow at its next start.
 */
import { forgetPerson, Log } from "convergent";
import { driverOf, kindOf, ownerOf } from "./store-file.ts";

export interface ForgetOptions {
  readonly store: string;
  readonly reason: string;
  readonly actor?: string;
  readonly force?: true;
}

export async function forget(person: string, { store, reason, actor, force }: ForgetOptions): Promise<void> {
  const owner = ownerOf(store);
  const log = await Log.open(driverOf(store, kindOf(store)), owner);
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
