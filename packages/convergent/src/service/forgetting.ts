/**
 * Forgetting a person: the key that seals their data is destroyed, and an event says so. Every step can be repeated:
 *
 *   intent written ──► key destroyed ──► event appended, snapshots dropped, intent removed (one transaction) ──► views follow
 *
 * A process that dies in between leaves the intent, or a destroyed key without its event; the next start goes on from there.
 */
import { ConvergentError } from "../errors/error.ts";
import { forgottenEntity, forgottenIn, forgottenStream, forgottenType } from "../log/forgotten.ts";
import type { Forgetting } from "../log/history-rows.ts";
import type { KeyVault } from "../log/key-vault.ts";
import type { Log } from "../log/log.ts";
import type { Discard } from "../log/reader-rows.ts";
import type { WriteTransaction } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import type { Token } from "../position/token.ts";

/** Events of a person looked at in one go. */
const page = 1000;

/** Stands for what went wrong with an event of somebody who was forgotten. */
const withheld = "withheld, because a person was forgotten whose data it may quote; replay the event to see what is wrong with it now";

/** What forgetting a person is asked for with. */
export interface ForgetOptions {
  /** Why; kept in the log. */
  readonly reason: string;
  /** Who asks; kept in the log. */
  readonly actor?: string;
  /** Also a person of whom nothing was ever sealed here: the id is refused from now on. Default false, because a wrong id looks the same. */
  readonly force?: boolean;
}

/** A person is forgotten, now or, when `repeated`, since an earlier call. */
export interface Forgotten {
  /** By which the log knows the person. */
  readonly pseudonym: string;
  /** Reached by a view: nothing of the person is in it any more. */
  readonly token: Token;
  readonly repeated: boolean;
}

/**
 * Forgets a person. Throws `definition_invalid` for a store that keeps no keys, `invalid_input` without a reason, `not_found`
 * for somebody of whom nothing was ever sealed here.
 */
export async function forgetPerson(log: Log, person: string, { reason, actor = "", force = false }: ForgetOptions): Promise<Forgotten> {
  if (typeof reason !== "string" || reason === "") throw new ConvergentError("invalid_input", "forgetting a person is given a reason");
  const vault = vaultOf(log);
  const pseudonym = vault.pseudonym(person);
  const known = await log.streamHead(forgottenStream(pseudonym));
  if (known) return { pseudonym, token: await log.tokenAt(known.position), repeated: true };
  if (!force && !(await isKnown(log, vault, pseudonym)))
    throw new ConvergentError(
      "not_found",
      `no data of "${person}" was ever sealed in the store of "${log.store}", so nothing was done; look at the id again, or force it (--force), and that id is refused from now on`,
      { details: { person } },
    );
  await log.transact((tx) => tx.persons.beginForgetting({ person: pseudonym, reason, actor }));
  log.host.reached("forget.intended");
  return finish(log, vault, { person: pseudonym, reason, actor });
}

/** Whether anything was sealed of a person, or somebody has begun to forget them. */
async function isKnown(log: Log, vault: KeyVault, pseudonym: string): Promise<boolean> {
  if (vault.key(pseudonym) || vault.forgotten().includes(pseudonym)) return true;
  return log.snapshot(async (tx) => {
    const wishes = await tx.persons.forgettings();
    return wishes.some(({ person }) => person === pseudonym) || (await tx.persons.events(pseudonym, { after: 0, limit: 1 })).length > 0;
  });
}

/** Destroys keys of persons whom the log knows as forgotten: somebody has put back an older copy of the keys. To be called before anything is read with them. */
export async function destroyForgotten(log: Log): Promise<void> {
  const { vault } = log;
  if (!vault) return;
  let after: string | undefined;
  for (;;) {
    const from = after;
    const query = { entity: forgottenEntity, limit: page, ...(from === undefined ? {} : { after: from }) };
    const known = await log.snapshot((tx) => tx.streams(query));
    for (const person of known.map(({ stream }) => forgottenIn(stream))) if (vault.key(person)) await vault.destroy(person);
    if (known.length < page) return;
    after = known.at(-1)?.stream;
  }
}

/** Goes on where earlier processes died. */
export async function finishForgetting(log: Log): Promise<void> {
  const { vault } = log;
  if (!vault) return;
  for (const wish of await log.snapshot((tx) => tx.persons.forgettings())) await finish(log, vault, wish);
  // A key that is gone without a word in the log: the log is an older copy, or belongs to another store that shared the vault.
  for (const person of vault.forgotten())
    if (!(await log.streamHead(forgottenStream(person))))
      await finish(log, vault, { person, reason: "the key was found destroyed", actor: "" });
}

async function finish(log: Log, vault: KeyVault, wish: Forgetting): Promise<Forgotten> {
  await vault.destroy(wish.person);
  log.host.reached("forget.destroyed");
  const token = await log.transact((tx) => written(log, vault, { wish, tx }));
  log.host.reached("forget.written");
  if (token) return { pseudonym: wish.person, token, repeated: false };
  const head = await log.streamHead(forgottenStream(wish.person));
  return { pseudonym: wish.person, token: await log.tokenAt(head?.position ?? log.headKnown.position), repeated: true };
}

/** The event, and the end of the wish. `undefined` when another process was faster. */
async function written(
  log: Log,
  vault: KeyVault,
  { wish: { person, reason, actor }, tx }: { readonly wish: Forgetting; readonly tx: WriteTransaction },
): Promise<Token | undefined> {
  await tx.lock();
  await withholdErrors(log, await dropSnapshots(person, tx), tx);
  // Once more, under the lock: a state that another process took from a snapshot meanwhile is of older keys, and goes too.
  await vault.destroy(person);
  await tx.persons.endForgetting(person);
  const outcome = await log.append(
    {
      stream: forgottenStream(person),
      expected: "none",
      events: [{ type: forgottenType, data: { reason } }],
      metadata: actor === "" ? {} : { actor },
    },
    { tx },
  );
  return outcome.kind === "appended" ? outcome.token : undefined;
}

/** Returns the streams that hold something of the person. */
async function dropSnapshots(person: string, tx: WriteTransaction): Promise<ReadonlySet<string>> {
  const streams = new Set<string>();
  for (let after = 0; ; ) {
    const events = await tx.persons.events(person, { after, limit: page });
    const found = new Set(events.map(({ stream }) => stream));
    await tx.snapshots.drop([...found]);
    for (const stream of found) streams.add(stream);
    if (events.length < page) return streams;
    after = events.at(-1)?.position ?? after;
  }
}

// What a handler threw may quote what it was given.
async function withholdErrors(log: Log, streams: ReadonlySet<string>, tx: WriteTransaction): Promise<void> {
  const isQuoting = async ({ source, position, error }: Pick<Discard, "source" | "position" | "error">): Promise<boolean> => {
    if (source !== log.store || error === "") return false;
    const [event] = await tx.events({ after: (position - 1) as Position, upTo: position, limit: 1 });
    return event !== undefined && streams.has(event.stream);
  };
  for (const { events: _, ...row } of await tx.parking.keys())
    if (await isQuoting(row)) await tx.parking.saveEvents([{ ...row, error: withheld }]);
  for (const row of await tx.parking.discards()) if (await isQuoting(row)) await tx.parking.saveDiscards([{ ...row, error: withheld }]);
}

function vaultOf(log: Log): KeyVault {
  if (log.vault) return log.vault;
  throw new ConvergentError(
    "definition_invalid",
    `the store of "${log.store}" keeps no keys of persons, so it holds nothing sealed to forget`,
  );
}
