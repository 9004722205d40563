/**
 * The server as a child process that can be killed. It is started on a free port, and after a crash on the same store
 * and the same port, so that whoever talks to it only sees it away for a moment.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const program = join(import.meta.dirname, "..", "server.ts");

/** A server that does not serve within this time is not going to. */
const startLimitMs = 30_000;
const stopLimitMs = 15_000;

/** Written to by the child; only the end is of interest, when it died without being told to. */
const stderrCharactersMax = 4_000;

/** The server does not start, or ended by itself. */
export class ServerFailure extends Error {
  override readonly name = "ServerFailure";
}

/** What a server serves from. */
export interface ServerStore {
  /** Of its files. */
  readonly directory: string;
  /** URL of a PostgreSQL database with `?schema=`; a file in the directory without it. */
  readonly database: string | undefined;
}

export class ServerProcess {
  readonly #store: ServerStore;
  readonly #onDeath: (error: Error) => void;
  #child: ChildProcess | undefined;
  #port = 0;
  #expectsEnd = false;
  #closed = false;
  #release: "next" | undefined;
  #stderr = "";

  private constructor(store: ServerStore, onDeath: (error: Error) => void) {
    this.#store = store;
    this.#onDeath = onDeath;
  }

  /** Starts a server on a store. `onDeath` is told when it ends and nobody asked it to. */
  static async start(store: ServerStore, onDeath: (error: Error) => void): Promise<ServerProcess> {
    const server = new ServerProcess(store, onDeath);
    await server.#launch();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Kills it with SIGKILL and starts it again on the same store and port. */
  async crash(): Promise<void> {
    await this.#end((child) => child.kill("SIGKILL"));
    if (!this.#closed) await this.#launch();
  }

  /** Lets it finish what it has begun, and starts a release on the same store and port. */
  async restart(release: "next"): Promise<void> {
    this.#release = release;
    await this.stop();
    if (!this.#closed) await this.#launch();
  }

  /** Lets it finish what it has begun. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || hasEnded(child)) return;
    const timer = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
    await this.#end(() => void child.send("stop"));
    clearTimeout(timer);
  }

  /** Ends it at once and for good: for a way out that cannot wait. */
  async kill(): Promise<void> {
    this.#closed = true;
    await this.#end((child) => child.kill("SIGKILL"));
  }

  async #end(by: (child: ChildProcess) => void): Promise<void> {
    this.#expectsEnd = true;
    const child = this.#child;
    if (!child || hasEnded(child)) return;
    const ended = once(child, "exit");
    by(child);
    await ended;
  }

  async #launch(): Promise<void> {
    this.#expectsEnd = false;
    this.#stderr = "";
    const { directory, database } = this.#store;
    const child = fork(program, [directory, String(this.#port), ...(this.#release ? [this.#release] : [])], {
      execArgv: ["--conditions=convergent-source"],
      // Not an argument: everybody on the machine may read those.
      env: { ...process.env, ...(database === undefined ? {} : { REPLAY_DATABASE: database }) },
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    this.#child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrCharactersMax);
    });
    const url = await ready(child);
    this.#port = Number(new URL(url).port);
    child.once("exit", (code, signal) => {
      if (this.#expectsEnd) return;
      const why = this.#stderr.trim();
      this.#onDeath(new ServerFailure(`the server ended by itself (${signal ?? `exit code ${code}`})${why ? `:\n${why}` : ""}`));
    });
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** The address it serves at. */
function ready(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new ServerFailure(`the server did not serve within ${startLimitMs / 1000} s`));
    }, startLimitMs);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      child.off("exit", died);
      act();
    };
    const died = (): void => settle(() => reject(new ServerFailure("the server ended before it served; its message stands above")));
    child.once("exit", died);
    child.once("message", (message) => {
      const { url, failure } = message as { url?: string; failure?: string };
      settle(() =>
        url === undefined ? reject(new ServerFailure(`the server does not start: ${failure ?? "no reason given"}`)) : resolve(url),
      );
    });
  });
}
