/**
 * The statements of one open transaction, in the order in which they are asked.
 *
 * Invariants:
 * - A transaction that has ended refuses every further call (`closed`): its connection may serve another one by then.
 * - Once a statement has failed every further one does, and the transaction is rolled back, also when its body caught the error.
 * - What is sent and not waited for is answered before COMMIT is: when one of them failed, the server rolls back and COMMIT says so.
 */
import { ConvergentError, isConvergentError } from "../../errors/error.ts";
import type { StoredEvent } from "../../log/event.ts";
import type { Values } from "../rows.ts";
import type { Answer, Connection } from "./connection.ts";
import { eventIn } from "./event-texts.ts";
import type { Parameter } from "./texts.ts";
import type { EventsTable } from "./queries.ts";
import type { Standing } from "./standing.ts";

/** Statements that are under way and not waited for. A body that sends more waits for the server: nothing else bounds what lies here. */
const sentMax = 32;

export class Statements {
  readonly #connection: Connection;
  readonly #standing: Standing;
  readonly #begun: Promise<void>;
  #changed = false;
  #ended = false;
  #failure: Error | undefined;
  /** Statements that are under way and not waited for. */
  readonly #sent = new Set<Promise<unknown>>();

  /** `begun` resolves when the transaction has begun and `standing` is what it sees; statements are sent before that. */
  constructor(connection: Connection, standing: Standing, begun: Promise<void>) {
    this.#connection = connection;
    this.#standing = standing;
    this.#begun = begun;
    begun.catch((error: unknown) => (this.#failure ??= asError(error)));
  }

  /** Whether there may be something to commit. */
  get changed(): boolean {
    return this.#changed;
  }

  /** What made a statement fail, if one did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Commits what was sent, answered or not. Throws what a statement failed with, or `outcome_unknown` when the connection broke: the server
   * may have come to the COMMIT behind them.
   */
  async commit(): Promise<void> {
    try {
      await this.#connection.commit();
    } catch (error) {
      // They were answered before COMMIT was; whoever waits for the answer may hear of it a turn later all the same.
      await Promise.allSettled(this.#sent);
      throw isConvergentError(error, "outcome_unknown") ? error : (this.#failure ?? error);
    }
  }

  /** Ends the transaction: whatever still holds it is refused from now on. */
  end(): void {
    this.#ended = true;
  }

  /** Throws when the transaction has ended or failed. */
  check(): void {
    if (this.#ended) throw new ConvergentError("closed", "the transaction has ended; begin another one");
    if (this.#failure !== undefined) throw this.#failure;
  }

  async rows(text: string, values: readonly Parameter[] = []): Promise<Values[]> {
    return (await this.#run((connection) => connection.ask(text, values))).rows;
  }

  /** Asks the table of events, which may turn out to be another one than was thought. */
  async ofTable<T>(ask: (table: EventsTable) => Promise<T>): Promise<T> {
    const { table } = this.#standing;
    const answer = await ask(table);
    return table === this.#standing.table ? answer : ask(this.#standing.table);
  }

  /** The events that a question for `eventTexts` answers. */
  async events(text: (table: EventsTable) => string, values: readonly Parameter[]): Promise<StoredEvent[]> {
    const rows = await this.ofTable((table) => this.#run((connection) => connection.stored(text(table), values)));
    return rows.map(eventIn);
  }

  /** A statement that changes something; how many rows. */
  async change(text: string, values: readonly Parameter[]): Promise<number> {
    this.#changed = true;
    return (await this.#run((connection) => connection.ask(text, values))).count;
  }

  /**
   * Sends a statement that changes something, and does not wait for its answer: the last writes of a transaction and its COMMIT are
   * then one round trip. What fails is thrown by the next statement, or in place of the commit.
   */
  async send(text: string, values: readonly Parameter[]): Promise<void> {
    this.check();
    const done = this.change(text, values).finally(() => this.#sent.delete(done));
    this.#sent.add(done);
    done.catch(() => undefined);
    if (this.#sent.size >= sentMax) await done;
  }

  /** Anything else; `changes` when it changes something. */
  with<T>(work: (connection: Connection) => Promise<T>, changes?: "changes"): Promise<T> {
    if (changes) this.#changed = true;
    return this.#run(work);
  }

  async #run<T = Answer>(work: (connection: Connection) => Promise<T>): Promise<T> {
    this.check();
    // Sent at once: the answer to the beginning is waited for on the way.
    const answer = work(this.#connection);
    answer.catch(() => undefined);
    try {
      await this.#begun;
      return await answer;
    } catch (error) {
      this.#failure ??= asError(error);
      throw this.#failure;
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
