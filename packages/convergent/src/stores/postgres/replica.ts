/**
 * One read replica: whether it may be used, how far behind it is, and snapshots of it.
 *
 *   starting ──► ready ◄──► behind           looked at about once a second
 *      ▲ │         │
 *      │ ▼         ▼
 *   unreachable, refused                     looked at again, ever more seldom
 *   promoted                                 never used again
 *
 * - It is of the primary's cluster, epochs and history: the event at its head is the primary's event there. That is compared at
 *   each look, and holds for snapshots that say of themselves that the server is in recovery and the generation is the same.
 * - What it lacks is not concluded from what this process knows, but from its own rows in the snapshot that answers.
 */
import { isConvergentError } from "../../errors/error.ts";
import { type Backoff, backoffMs } from "../../host/backoff.ts";
import type { Host, Timer } from "../../host/host.ts";
import type { ReplicaState, ReplicaStatus } from "../../log/replicas.ts";
import type { Identity, ReadTransaction } from "../../log/store.ts";
import { laterPosition, origin, type Position } from "../../position/position.ts";
import { type Connection, Connections } from "./connection.ts";
import { isConnectionLost } from "./failure.ts";
import * as sql from "./queries.ts";
import { schemaVersion } from "./schema.ts";
import { epochsOf, Standing } from "./standing.ts";
import { Statements } from "./statements.ts";
import { PostgresRead } from "./transaction.ts";
import { beginReading, type TransactionOptions } from "./transactions.ts";
import type { KnownStatements } from "./view-sql.ts";

/** How often one that is used is looked at. */
const lookMs = 1_000;
/** What a look, a connection, or the question for its head may take: a server that is silent for longer is not waited for. */
const silentMs = 1_000;
/** How often one is asked for its head while somebody waits for it. */
const headMs = 10;
/** From one look at one that cannot be used to the next. */
const settingAside: Backoff = { firstMs: 200, maxMs: 10_000, factor: 2 };

/** What the primary says of a replica's newest event. */
export interface Compared {
  readonly cluster: string;
  readonly head: Position;
  /** Id of the event at the replica's head, and when the one after that was appended. */
  readonly id: string | undefined;
  readonly nextAt: number | undefined;
}

export interface ReplicaOptions {
  readonly host: Host;
  readonly url: string;
  readonly place: string;
  readonly transactions: TransactionOptions;
  /** One of its connections may take so long to answer. */
  readonly answerMs: number;
  readonly connections: number;
  /** Behind the primary by more than this it is not used. */
  readonly lagMaxMs: number;
  readonly known: KnownStatements;
  readonly primary: { identity(): Identity; compare(position: Position): Promise<Compared> };
}

/** A replica that turned out not to be usable, and how it counts from then on. */
class Unusable extends Error {
  readonly state: ReplicaState;

  constructor(state: ReplicaState, message: string) {
    super(message);
    this.state = state;
  }
}

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #standing: Standing;
  readonly #reads: Connections;
  /** For what must not wait for reads: looks and heads. */
  readonly #looks: Connections;
  readonly #begin: { readonly read: string; readonly look: string };
  #state: ReplicaState = "starting";
  #error: string | undefined;
  /** The generation whose epochs were compared, and the last of these. */
  #verified: { readonly generation: unknown; readonly epoch: string } | undefined;
  #head: Position = origin;
  #lag = { positions: 0, ms: 0 };
  #lagOfLate = 0;
  #readCount = 0;
  #attempts = 0;
  #asking: Promise<void> | undefined;
  #looking = false;
  #timer: Timer | undefined;
  /** Rejects each of the reads under way. */
  readonly #underWay = new Set<(why: unknown) => void>();
  #closed = false;

  constructor(options: ReplicaOptions) {
    const { host, url, place, transactions, answerMs, connections } = options;
    this.#options = options;
    this.#standing = new Standing(options.primary.identity());
    const shared = { timers: host.timers, url, place, connectMs: silentMs };
    this.#reads = new Connections({ ...shared, connections, answerMs });
    this.#looks = new Connections({ ...shared, connections: 1, answerMs: silentMs });
    this.#begin = { read: beginReading(transactions, sql.readReplica), look: beginReading(transactions, sql.lookAtReplica) };
    void this.#look();
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** The newest position it is known to hold. */
  get head(): Position {
    return this.#head;
  }

  /** How far behind it has been in the last moments, in milliseconds. */
  get lagOfLate(): number {
    return this.#lagOfLate;
  }

  status(): ReplicaStatus {
    const error = this.#error === undefined ? {} : { error: this.#error };
    return { place: this.#options.place, state: this.#state, lag: this.#lag, reads: this.#readCount, ...error };
  }

  /** Somebody has waited so long for it, for nothing: others need not try for a while. */
  missed(waitedMs: number): void {
    this.#lagOfLate = Math.max(this.#lagOfLate, 2 * waitedMs);
  }

  /** Runs `body` on a snapshot. Throws whatever went wrong; when it is not to be used any more, it says so from then on. */
  async read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#underWay.add(reject);
    this.#reads.use((connection) => this.#snapshot(connection, body)).then(resolve, reject);
    try {
      const value = await promise;
      this.#readCount++;
      return value;
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      this.#underWay.delete(reject);
    }
  }

  /** Asks for its head, a moment after it was asked last: once for all who wait. */
  askHead(): Promise<void> {
    this.#asking ??= this.#options.host.timers
      .sleep(headMs)
      .then(() => this.#looks.use((connection) => this.#snapshot(connection, async () => undefined)))
      .catch((error: unknown) => this.#failed(error))
      .finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async close(waitMs: number): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await Promise.all([this.#reads.close(waitMs), this.#looks.close(waitMs)]);
  }

  async #snapshot<T>(connection: Connection, body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    const begun = connection.script(this.#begin.read).then((answers) => {
      const [generation, , isInRecovery, head] = answers.at(-1)?.rows[0] ?? [];
      this.#requireRecovery(isInRecovery);
      const verified = this.#verified;
      if (verified?.generation !== generation || verified?.epoch !== this.#options.primary.identity().epochs.at(-1)?.id)
        throw new Unusable("starting", "an epoch or an archive has begun since it was looked at");
      this.#head = laterPosition(this.#head, head as Position);
    });
    const statements = new Statements(connection, this.#standing, begun);
    try {
      const value = await body(new PostgresRead(statements, this.#options.known));
      await begun;
      return value;
    } finally {
      statements.end();
      await connection.rollback();
    }
  }

  /** Looks at it, and again later. */
  async #look(): Promise<void> {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    this.#timer?.cancel();
    try {
      await this.#compare();
      this.#attempts = 0;
    } catch (error) {
      this.#setAside(error);
      this.#attempts++;
    }
    this.#looking = false;
    if (this.#closed || this.#state === "promoted") return;
    const { timers, random } = this.#options.host;
    const waitMs = this.#attempts === 0 ? lookMs * (0.75 + random.fraction() / 2) : backoffMs(settingAside, this.#attempts, random);
    this.#timer = timers.after(waitMs, () => void this.#look());
  }

  async #compare(): Promise<void> {
    const { primary, lagMaxMs, host } = this.#options;
    const { row, epochs } = await this.#looks.use(async (connection) => {
      try {
        const answers = await connection.script(this.#begin.look);
        return { row: answers.at(-1)?.rows[0] ?? [], epochs: await epochsOf(connection) };
      } finally {
        await connection.rollback();
      }
    });
    const [generation, , isInRecovery, head, id, version, name, cluster] = row;
    this.#requireRecovery(isInRecovery);
    const identity = primary.identity();
    if (name !== identity.store) throw new Unusable("refused", `it holds the store of "${String(name)}", not of "${identity.store}"`);
    if (version !== schemaVersion)
      throw new Unusable("refused", `its tables are of version ${String(version)}, and this release has version ${schemaVersion}`);
    const compared = await Promise.race([
      primary.compare(head as Position).catch(() => undefined),
      host.timers.sleep(silentMs).then(() => undefined),
    ]);
    // Of the primary nothing is heard: what was known of this one stays true.
    if (!compared && this.isReady) return;
    if (!compared) throw new Unusable("starting", "the primary, with which it is to be compared, does not answer");
    const last = primary.identity().epochs.at(-1)?.id;
    if (compared.cluster !== cluster) throw new Unusable("refused", "it is a copy of another cluster of servers, not of the primary's");
    if (epochs.length !== primary.identity().epochs.length || epochs.at(-1)?.id !== last)
      throw new Unusable("refused", "it does not hold the primary's newest epoch: it is of another history, or has not got so far");
    if ((head as Position) > compared.head || (head !== origin && compared.id !== id))
      throw new Unusable("refused", `its log is another one at ${String(head)}, where the primary's stands at ${compared.head}`);
    this.#head = head as Position;
    const positions = compared.head - this.#head;
    const ms = compared.nextAt === undefined ? 0 : Math.max(0, host.clock.now() - compared.nextAt);
    this.#lag = { positions, ms };
    this.#lagOfLate = Math.max(ms, this.#lagOfLate / 2);
    this.#standing.learn({ row, epochs });
    this.#verified = { generation, epoch: last as string };
    if (ms > lagMaxMs) this.#error = `it is ${Math.round(ms)} ms behind the primary, and may be ${lagMaxMs}`;
    this.#state = ms > lagMaxMs ? "behind" : "ready";
  }

  #requireRecovery(isInRecovery: unknown): void {
    if (isInRecovery !== true) throw new Unusable("promoted", "it is not in recovery: it was promoted, or is no replica at all");
  }

  // An error of a statement is that statement's: a conflict with what is replayed, say. A lost connection is the server's.
  #failed(error: unknown): void {
    if (this.#closed || this.#state === "promoted") return;
    this.#error = messageOf(error);
    if (error instanceof Unusable) this.#setAside(error);
    else if (!isUnreachable(error)) return;
    // Whether it is the server, or there were only too many reads, the look says.
    void this.#look();
  }

  /** It is used no more, and reads under way are answered elsewhere: it may never answer them. */
  #setAside(why: unknown): void {
    if (this.#state === "promoted") return;
    this.#error = messageOf(why);
    this.#state = why instanceof Unusable ? why.state : isUnreachable(why) ? "unreachable" : "refused";
    for (const reject of this.#underWay) reject(why);
  }
}

function isUnreachable(error: unknown): boolean {
  return isConvergentError(error, "unavailable") && isConnectionLost(error.cause);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
