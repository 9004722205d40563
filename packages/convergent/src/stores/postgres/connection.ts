/**
 * Connections to one database. They are used in pipelines: a statement is sent without waiting for the answers to those before
 * it, so that the beginning of a transaction and its first question are one round trip. Nothing stays behind on a connection
 * when its transaction ends: a pooler that gives the next transaction another one changes nothing. Only where no pooler is in between,
 * statements that come again and again are kept prepared (`prepared.ts`).
 */
import type { Socket } from "node:net";
import pg from "pg";
import { ConvergentError } from "../../errors/error.ts";
import type { Timers } from "../../host/host.ts";
import type { Values } from "../rows.ts";
import { type Deed, failureOf, isConnectionLost, isOfPrepared } from "./failure.ts";
import { Prepared } from "./prepared.ts";
import { decoded, type Parameter, parameterSent, wholeNumber } from "./texts.ts";

export interface Answer {
  readonly rows: Values[];
  /** Rows that the statement changed or returned. */
  readonly count: number;
  /** What was done: `COMMIT`, `ROLLBACK`, `INSERT` and so on. */
  readonly command: string;
}

/** The id of the type in every database. */
const bigint = 20;

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number): ((text: string) => unknown) =>
    oid === bigint ? wholeNumber : (pg.types.getTypeParser(oid) as (text: string) => unknown),
};

// By the extended protocol, also without parameters: the simple one would run several statements in one text.
const oneStatement = { queryMode: "extended" };

/** What ended a connection that nobody had asked anything at that moment. The client library says later only that it cannot be used. */
const ends = new WeakMap<pg.ClientBase, Error>();

/** A connection while one transaction has it. */
export class Connection {
  readonly #client: pg.PoolClient;
  readonly #place: string;
  #isLost = false;
  #isGathering = false;

  constructor(client: pg.PoolClient, place: string) {
    this.#client = client;
    this.#place = place;
  }

  /** Whether it must not be used again. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Calls when it breaks, whether or not something is under way, until it is told to stop. */
  onLost(lost: () => void): () => void {
    const broken = (): void => {
      this.#isLost = true;
      lost();
    };
    // The server's last words come before the end.
    const words = ["error", "end"] as const;
    for (const word of words) this.#client.on(word, broken);
    return () => {
      for (const word of words) this.#client.off(word, broken);
    };
  }

  /** One statement with parameters `$1`, `$2`, …; with the deed "commit" it is a transaction of its own that changes something. */
  async ask(text: string, values: readonly Parameter[] = [], deed: Deed = "statement"): Promise<Answer> {
    return answerOf(await this.#asked(text, values, deed));
  }

  /** The rows of a question, texts as they are stored. */
  async stored(text: string, values: readonly Parameter[]): Promise<Values[]> {
    return (await this.#asked(text, values, "statement")).rows;
  }

  /** One statement whose rows are objects by the names of their columns. */
  async objects(
    text: string,
    values: readonly Parameter[],
  ): Promise<{ readonly rows: Array<Record<string, unknown>>; readonly count: number }> {
    const asked = { text, values: values as unknown[], ...oneStatement };
    const { rows, rowCount } = await this.#sent(() => this.#client.query<Record<string, unknown>>(asked), "statement");
    return { rows, count: rowCount ?? 0 };
  }

  /** Statements without parameters, sent as one message; the answers of all of them. */
  async script(text: string, deed: Deed = "statement"): Promise<Answer[]> {
    const results = await this.#sent(() => this.#client.query<unknown[]>({ text, rowMode: "array" }), deed);
    return (Array.isArray(results) ? (results as pg.QueryArrayResult<unknown[]>[]) : [results]).map(answerOf);
  }

  /** Ends the transaction. Throws `outcome_unknown` when nobody knows how. */
  async commit(): Promise<void> {
    const [answer] = await this.script("COMMIT", "commit");
    // A transaction that had failed is rolled back by COMMIT, and the answer says so.
    if (answer?.command !== "COMMIT")
      throw new ConvergentError("unavailable", `${this.#place}: the server rolled the transaction back; nothing was written`);
  }

  /** Ends the transaction; what a statement that is still under way does is of no interest any more. */
  async rollback(): Promise<void> {
    if (!this.#isLost) await this.script("ROLLBACK").catch(() => this.abandon());
  }

  /** Gives it up: a statement that is under way ends with it. */
  abandon(): void {
    this.#isLost = true;
  }

  release(): void {
    this.#client.release(this.#isLost);
  }

  #asked(text: string, values: readonly Parameter[], deed: Deed): Promise<pg.QueryArrayResult<unknown[]>> {
    const name = Prepared.of(this.#client).nameOf(text);
    const asked = { name, text, values: values.map(parameterSent), rowMode: "array", ...oneStatement } as const;
    return this.#sent(() => this.#client.query<unknown[]>(asked), deed);
  }

  // What is sent before this process turns to something else goes out in one write, and wakes the server once: a write for each statement
  // was 7% of what this process did for a view that catches up.
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    const { stream } = (this.#client as unknown as { readonly connection: { readonly stream: Partial<Socket> } }).connection;
    // Sockets of other runtimes may have no cork.
    stream.cork?.();
    process.nextTick(() => {
      this.#isGathering = false;
      stream.uncork?.();
    });
  }

  async #sent<T>(send: () => Promise<T>, deed: Deed): Promise<T> {
    this.#gather();
    try {
      return await send();
    } catch (error) {
      if (isConnectionLost(error) || isOfPrepared(error)) this.#isLost = true;
      throw failureOf(withEnd(error, ends.get(this.#client)), this.#place, deed);
    }
  }
}

function withEnd(error: unknown, end: Error | undefined): unknown {
  const isWithoutReason = error instanceof Error && error !== end && !("code" in error);
  return end && isWithoutReason ? new Error(`${error.message}: ${end.message}`, { cause: error }) : error;
}

function answerOf({ rows, rowCount, command }: pg.QueryArrayResult<unknown[]>): Answer {
  for (const row of rows) {
    for (let column = 0; column < row.length; column++) {
      const value = row[column];
      if (typeof value === "string") row[column] = decoded(value);
    }
  }
  return { rows, count: rowCount ?? 0, command };
}

export interface PoolOptions {
  readonly timers: Timers;
  readonly url: string;
  /** How messages name the database. */
  readonly place: string;
  readonly connections: number;
  readonly connectMs: number;
  /** A connection over which an answer takes longer is given up. */
  readonly answerMs: number;
  /** What a new connection is asked before it is used; when it throws, the connection is given up. */
  readonly verify?: (connection: Connection) => Promise<void>;
}

/** Some connections, made when they are needed. */
export class Connections {
  readonly #timers: Timers;
  readonly #pool: pg.Pool;
  readonly #place: string;
  #closed = false;

  constructor({ timers, url, place, connections, connectMs, answerMs, verify }: PoolOptions) {
    this.#timers = timers;
    this.#place = place;
    this.#pool = new pg.Pool({
      ...clientOptions(url),
      max: connections,
      connectionTimeoutMillis: connectMs,
      query_timeout: answerMs,
      idleTimeoutMillis: 60_000,
      allowExitOnIdle: true,
      ...(verify && { verify: (client, done) => void tell(verify(new Connection(client, place)), done) }),
    });
    // A connection that breaks while nobody uses it is made again; one that is in use tells its statement.
    this.#pool.on("error", () => undefined);
    this.#pool.on("connect", (client) => {
      client.on("error", (error) => void (ends.has(client) || ends.set(client, error)));
      Prepared.of(client).look();
    });
  }

  async use<T>(work: (connection: Connection) => Promise<T>, deed: Deed = "statement"): Promise<T> {
    if (this.#closed) throw new ConvergentError("closed", `the store in ${this.#place} is closed; open it again`);
    let client: pg.PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw failureOf(error, this.#place, deed);
    }
    const connection = new Connection(client, this.#place);
    try {
      return await work(connection);
    } finally {
      connection.release();
    }
  }

  /** Takes no more work and resolves when what is under way has ended, or after `waitMs`. */
  async close(waitMs: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await atMost(waitMs, this.#pool.end(), this.#timers);
  }
}

async function tell(work: Promise<void>, done: (error?: Error) => void): Promise<void> {
  try {
    await work;
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)));
    return;
  }
  done();
}

/** Resolves when `work` has ended, in whatever way, or after `ms`; no timer is left behind that would keep the process alive. */
export async function atMost(ms: number, work: Promise<unknown>, timers: Timers): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = timers.after(ms, resolve, "awaited");
    const ended = (): void => {
      timer.cancel();
      resolve();
    };
    work.then(ended, ended);
  });
}

/** What every connection is made with. */
export function clientOptions(url: string): pg.ClientConfig {
  return { connectionString: url, types, keepAlive: true, application_name: "convergent", pipeline: true };
}
