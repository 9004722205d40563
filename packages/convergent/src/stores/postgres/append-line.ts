/**
 * The connection that appends go over. A batch is sent without waiting for the answer to the one before it, so that the server
 * begins it as soon as it has committed that one; the connection keeps their order. It is kept for a moment after the last answer:
 * taking one out of the pool and giving it back is a tenth of this process's work for an append that comes alone.
 */
import type { Timer, Timers } from "../../host/host.ts";
import type { Answer, Connection, Connections } from "./connection.ts";
import type { Parameter } from "./texts.ts";

/** A connection that nothing was sent over for so long goes back to the pool, after twice as long at most. */
const idleMs = 500;

/** One call of the append function. */
export interface Call {
  readonly text: string;
  readonly values: readonly Parameter[];
}

interface Line {
  readonly connection: Promise<Connection>;
  readonly release: () => void;
}

export class AppendLine {
  readonly #connections: Connections;
  readonly #timers: Timers;
  #open: Line | undefined;
  #underWay = 0;
  /** Whether something was sent since the timer was set. */
  #used = false;
  #timer: Timer | undefined;
  #closed = false;

  constructor(connections: Connections, timers: Timers) {
    this.#connections = connections;
    this.#timers = timers;
  }

  /** The answers of calls that are committed together. */
  async send(calls: readonly Call[]): Promise<Answer[]> {
    this.#underWay++;
    this.#used = true;
    const line = (this.#open ??= this.#take());
    try {
      const connection = await line.connection;
      if (calls.length === 1) {
        const { text, values } = calls[0] as Call;
        return [await connection.ask(text, values, "commit")];
      }
      void connection.script("BEGIN ISOLATION LEVEL READ COMMITTED").catch(() => undefined);
      // COMMIT is on its way before the first answer is there: whatever breaks the connection from here on, nobody knows.
      const answers = calls.map(({ text, values }) => connection.ask(text, values, "commit"));
      const committed = connection.commit();
      const results = await Promise.all(answers).catch(async (error: unknown) => {
        await committed.catch(() => undefined);
        throw error;
      });
      await committed;
      return results;
    } catch (error) {
      // A broken connection serves nobody else; the next batch has another one.
      if (this.#open === line && (await isLost(line.connection))) this.#giveBack();
      throw error;
    } finally {
      this.#underWay--;
      if (this.#underWay === 0) this.#keepAWhile();
    }
  }

  /** Gives the connection back when what is under way has ended, and keeps none any more. */
  close(): void {
    this.#closed = true;
    if (this.#underWay === 0) this.#giveBack();
  }

  #keepAWhile(): void {
    if (this.#closed) this.#giveBack();
    else if (this.#open) this.#timer ??= this.#timers.after(idleMs, () => this.#look());
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#underWay > 0) return; // whoever ends last sets it again
    if (!this.#used) return this.#giveBack();
    this.#used = false;
    this.#keepAWhile();
  }

  #giveBack(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#open?.release();
    this.#open = undefined;
  }

  #take(): Line {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const connection = new Promise<Connection>((resolve, reject) => {
      const taken = this.#connections.use(async (one) => {
        const stop = one.onLost(() => {
          if (this.#open === line && this.#underWay === 0) this.#giveBack();
        });
        resolve(one);
        await released;
        stop();
      });
      taken.catch(reject);
    });
    const line: Line = { connection, release };
    return line;
  }
}

function isLost(connection: Promise<Connection>): Promise<boolean> {
  return connection.then(
    (open) => open.isLost,
    () => true,
  );
}
