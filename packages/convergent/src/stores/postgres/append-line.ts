/**
 * The connection that appends go over. A batch is sent without waiting for the answer to the one before it, so that the server
 * begins it as soon as it has committed that one; the connection keeps their order.
 */
import type { Answer, Connection, Connections } from "./connection.ts";
import type { Parameter } from "./texts.ts";

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
  #open: Line | undefined;
  #underWay = 0;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** The answers of calls that are committed together. */
  async send(calls: readonly Call[]): Promise<Answer[]> {
    this.#underWay++;
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
      if (this.#open === line && (await isLost(line.connection))) {
        this.#open = undefined;
        line.release();
      }
      throw error;
    } finally {
      this.#underWay--;
      if (this.#underWay === 0 && this.#open === line) {
        this.#open = undefined;
        line.release();
      }
    }
  }

  #take(): Line {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const connection = new Promise<Connection>((resolve, reject) => {
      const taken = this.#connections.use(async (one) => {
        resolve(one);
        await released;
      });
      taken.catch(reject);
    });
    return { connection, release };
  }
}

function isLost(connection: Promise<Connection>): Promise<boolean> {
  return connection.then(
    (open) => open.isLost,
    () => true,
  );
}
