// A further process of a sample (a server, a second writer), and the words that go to and fro. A worker ends with its
// parent, so that a sample that is killed leaves nothing behind.
import { fork } from "node:child_process";
import { NotWired } from "../bench.ts";

type Message = { readonly kind: "said"; readonly value: unknown } | { readonly kind: "not-wired"; readonly reason: string };

export interface Worker {
  /** The next value the worker said. Rejects when it ended without saying one. */
  hear<T>(): Promise<T>;
  say(value: unknown): void;
  stop(): void;
}

/** Starts a module of this project, by the path of its file. What it prints is printed by the sample. */
export function forkWorker(file: string, args: readonly string[]): Worker {
  const child = fork(file, [...args], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const inbox = new Inbox<Message>();
  child.on("message", (message) => inbox.put(message as Message));
  child.on("exit", (code, signal) => inbox.end(new Error(`worker ${file} ended (${signal ?? `exit code ${code}`})`)));
  return {
    async hear<T>() {
      const message = await inbox.take();
      if (message.kind === "not-wired") throw new NotWired(message.reason);
      return message.value as T;
    },
    say: (value) => void child.send({ value }),
    stop: () => void child.kill("SIGKILL"),
  };
}

/** The worker's side. */
export interface Parent {
  hear<T>(): Promise<T>;
  say(value: unknown): void;
}

/** In the worker: runs `body` until the parent goes away. */
export async function serveParent(body: (parent: Parent) => Promise<void>): Promise<void> {
  const inbox = new Inbox<{ value: unknown }>();
  const tell = (message: Message): void => void process.send?.(message);
  process.on("message", (message) => inbox.put(message as { value: unknown }));
  process.on("disconnect", () => process.exit());
  try {
    await body({
      hear: async <T>() => (await inbox.take()).value as T,
      say: (value) => tell({ kind: "said", value }),
    });
  } catch (error) {
    if (!(error instanceof NotWired)) throw error;
    tell({ kind: "not-wired", reason: error.message });
  }
}

/** Messages in the order in which they came, for one that takes them. */
class Inbox<T> {
  readonly #messages: T[] = [];
  #ended: Error | undefined;
  #wake: () => void = () => undefined;

  put(message: T): void {
    this.#messages.push(message);
    this.#wake();
  }

  end(reason: Error): void {
    this.#ended = reason;
    this.#wake();
  }

  async take(): Promise<T> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#ended !== undefined) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
