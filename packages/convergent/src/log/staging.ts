/**
 * Appends in a transaction of the caller's own, on the caller's own connection: its rows and the events are there together or not at
 * all. Staging decides nothing. The store decides at the COMMIT, by the rules of every other append, and refuses by making the COMMIT
 * fail; so a transaction that stays open holds up nobody, and what came of it can be asked for afterwards.
 *
 * L2: what the COMMIT did is read from the store, by the transaction's number and by the id of the event. Where neither tells, the
 * answer is `outcome_unknown`.
 */
import { ConvergentError } from "../errors/error.ts";
import { type Backoff, backoffMs } from "../host/backoff.ts";
import type { Host } from "../host/host.ts";
import type { Position } from "../position/position.ts";
import type { Token } from "../position/token.ts";
import { idsKeptMs, outcomeOfKnown, type PreparedAppend } from "./admission.ts";
import type { Appended } from "./append.ts";
import type { StoredEvent } from "./event.ts";
import type { IdKey, IdRecord, Store } from "./store.ts";

/**
 * A transaction that the caller has begun: a client of `pg` after its BEGIN, a transaction of Kysely, or one of Drizzle. Anything else
 * that has `query(text, values)` and answers `{ rows }` with objects will do.
 */
export type UserTransaction =
  | { query(text: string, values: never): PromiseLike<{ readonly rows: readonly unknown[] }> }
  | { executeQuery(query: never): PromiseLike<{ readonly rows: readonly unknown[] }> }
  | { execute(query: never): PromiseLike<unknown> };

/** An append that waits for the COMMIT of the transaction it was staged in. */
export interface StagedAppend {
  readonly kind: "staged";
  readonly stream: string;
  /**
   * What came of it, to be asked after the COMMIT. Throws `rolled_back` when the transaction or its savepoint was rolled back,
   * `already_done` when another append had used the id, with that one's result and token in `details`, and `outcome_unknown` while
   * the transaction is open, and when nobody can know any more.
   */
  result(): Promise<Appended>;
}

/** A server says that a COMMIT failed before it has rolled back, and notices late that a connection is gone: so long is the end waited for. */
const endWaitMs = 1_000;

const lookEvery: Backoff = { firstMs: 2, maxMs: 100, factor: 2 };

/** What names a staged append to its store. */
export interface Staging {
  /** The caller's transaction. */
  readonly transaction: string;
  readonly key: IdKey;
}

/** How a transaction ended, as one snapshot shows it, and what is remembered under the append's id there. */
export interface StagedState {
  readonly ended: "committed" | "rolled back" | "open" | "forgotten";
  /** Whether it runs, a moment after the snapshot. */
  readonly isRunning: boolean;
  readonly record: IdRecord | undefined;
  /** Id of the event at the record's position. */
  readonly eventId: string | undefined;
}

/** A store that appends in transactions of others. */
export interface StagingStore extends Store {
  /** Stages an append; its `idKey` is given. Throws `isolation_unsupported`, `transaction_unsupported`, `invalid_input`. */
  stage(
    tx: UserTransaction,
    append: PreparedAppend & { readonly idKey: IdKey },
    options: { readonly now: number; readonly idsBefore: number },
  ): Promise<Staging>;
  staged(staging: Staging): Promise<StagedState>;
}

/** What staging needs of a log. */
export interface StagingLog {
  readonly store: Store;
  readonly host: Host;
  /** Whether a strong view of this process has to be folded inside appends. */
  readonly isStrong: boolean;
  readonly idsBefore: number;
  tokenAt(position: Position): Promise<Token>;
}

/** Whether this is somebody's own transaction, and none of a log. */
export function isUserTransaction(tx: object): tx is UserTransaction {
  return ["query", "executeQuery", "execute"].some((name) => typeof (tx as Record<string, unknown>)[name] === "function");
}

/** A transaction of a log, for what cannot be staged in one of the caller's: an append to several streams. Throws `transaction_unsupported`. */
export function ofLog<Transaction extends object>(tx: Transaction, stream: string): Transaction {
  if (!isUserTransaction(tx)) return tx;
  throw new ConvergentError(
    "transaction_unsupported",
    `the append to ${stream} and others was given a transaction of the caller's, in which only appends to one stream are staged: stage one for each stream, they are committed together`,
    { details: { stream } },
  );
}

/** Stages an append. What can be refused is refused before anything is sent that could fail, so that the transaction stays usable. */
export async function stageAppend(tx: UserTransaction, append: PreparedAppend, log: StagingLog): Promise<StagedAppend> {
  const { store, host } = log;
  const { stream } = append.request;
  if (!isStaging(store))
    throw new ConvergentError(
      "transaction_unsupported",
      `the append to ${stream} was given a transaction of the caller's, and its store has none of these: only postgres(…) takes part in them`,
    );
  if (log.isStrong) throw strongViewInTheWay(stream);
  const stagedAt = host.clock.now();
  // Remembered in any case, so that what became of it can be read. No caller's id holds a NUL.
  const key = append.idKey ?? { scope: "", id: `\u0000staged.${append.events[0]?.id}` };
  const staging = await store.stage(tx, { ...append, idKey: key }, { now: stagedAt, idsBefore: log.idsBefore });
  return { kind: "staged", stream, result: async () => resultOf(append, { stagedAt, state: await ended(store, staging), log }) };
}

async function ended(store: StagingStore, staging: Staging): Promise<StagedState> {
  const { clock, timers, random } = store.host;
  const until = clock.elapsed() + endWaitMs;
  let wasRunning = true;
  for (let attempt = 1; ; attempt++) {
    const state = await store.staged(staging);
    // It ran no more when this snapshot was made, which has not seen it end: a server that was killed has forgotten its number.
    if (state.ended === "open" && !wasRunning) return { ...state, ended: "rolled back" };
    wasRunning = state.isRunning;
    if (state.ended !== "open" || clock.elapsed() >= until) return state;
    await timers.sleep(backoffMs(lookEvery, attempt, random));
  }
}

/** The error for an append that would have to fold a strong view where no code of ours runs. */
export function strongViewInTheWay(stream: string, view?: string): ConvergentError {
  return new ConvergentError(
    "transaction_unsupported",
    `the append to ${stream} cannot be staged: ${view === undefined ? "a view" : `the view "${view}"`} of this store is strong, and its handlers cannot run inside a COMMIT. Make the view eventual, or append outside of the transaction`,
    { details: view === undefined ? { stream } : { stream, view } },
  );
}

function isStaging(store: Store): store is StagingStore {
  return "stage" in store;
}

async function resultOf(
  append: PreparedAppend,
  { stagedAt, state, log }: { readonly stagedAt: number; readonly state: StagedState; readonly log: StagingLog },
): Promise<Appended> {
  const { stream } = append.request;
  const { record, eventId, ended } = state;
  const unknown = (why: string): ConvergentError =>
    new ConvergentError("outcome_unknown", `${why}; what came of the append to ${stream} is not known`, { details: { stream } });
  if (record?.state === "done" && eventId === append.events.at(-1)?.id) return appended(append, record, await log.tokenAt(record.position));
  if (ended === "open") throw unknown("the transaction has not ended: commit it, or ask again when its connection is gone");
  if (log.host.clock.now() - stagedAt > idsKeptMs || ended === "forgotten") throw unknown("the transaction ended too long ago");
  if (record) throw await alreadyKnown(append, record, log);
  const where = ended === "committed" ? "a savepoint of the transaction" : "the transaction";
  throw new ConvergentError(
    "rolled_back",
    `${where} was rolled back, and the append to ${stream} with it; what refused it was said by the statement that failed. Begin another one`,
    { details: { stream } },
  );
}

function appended({ request, events }: PreparedAppend, record: IdRecord, token: Token): Appended {
  const { firstVersion, lastVersion, at, position } = record;
  const stored = events.map((event, index): StoredEvent => {
    const after = events.length - 1 - index;
    return { ...event, position: (position - after) as Position, version: lastVersion - after, at };
  });
  return { kind: "appended", stream: request.stream, firstVersion, lastVersion, events: stored, at, token, repeated: false };
}

async function alreadyKnown(append: PreparedAppend, record: IdRecord, log: StagingLog): Promise<ConvergentError> {
  const outcome = outcomeOfKnown(record, append.digest);
  if (outcome instanceof ConvergentError) return outcome;
  return alreadyDone(record, await log.tokenAt(record.position));
}

/** The error for an id that took effect before its transaction was committed. */
export function alreadyDone({ scope, id, stream, firstVersion, lastVersion, position, at }: IdRecord, token: Token): ConvergentError {
  return new ConvergentError(
    "already_done",
    `the append with the id ${id} is in the log already, at position ${position}; the transaction that staged it again kept nothing`,
    { details: { scope, id, stream, firstVersion, lastVersion, position, at, token: token.toString() } },
  );
}
