/**
 * The server processes of one run: warm ones that wait, and slots whose process dies and is begun again on the same store.
 * Whatever a process says that must not be said, and an end that nobody asked for, goes to `complain`.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answers, Order, Said } from "./server.ts";
import type { StoreAt } from "./stores.ts";

/** A server that does not serve within this time is not going to: the machine may be busy. */
const startLimitMs = 30_000;
const answerLimitMs = 20_000;
const stopLimitMs = 20_000;

/** Only the end of what a process wrote to its standard error is of interest. */
const stderrCharactersMax = 4_000;

/** A process could not start, as it said itself. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** One server process. */
export class ServerProcess {
  readonly child: ChildProcess;
  port = 0;
  stderr = "";
  readonly #waiting = new Map<number, (said: Extract<Said, { kind: "answer" }>) => void>();
  readonly #ended: Promise<void>;
  #number = 0;
  heard: (said: Said) => void = () => undefined;

  constructor(cache: string) {
    this.child = fork(join(import.meta.dirname, "server.ts"), [], {
      execArgv: ["--conditions=convergent-source"],
      env: { ...process.env, NODE_COMPILE_CACHE: cache },
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-stderrCharactersMax);
    });
    this.#ended = once(this.child, "exit").then(() => undefined);
    this.child.on("message", (said: Said) => {
      if (said.kind === "answer") this.#waiting.get(said.number)?.(said);
      this.heard(said);
    });
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  ended(): Promise<void> {
    return this.#ended;
  }

  tell(order: Order): void {
    this.child.send(order, () => undefined); // it may be gone: then its end is what is looked at
  }

  /** Undefined when it died before it answered, or stands still. */
  async ask<What extends keyof Answers>(what: What): Promise<Answers[What] | undefined> {
    const number = ++this.#number;
    const answered = new Promise<Extract<Said, { kind: "answer" }>>((resolve) => this.#waiting.set(number, resolve));
    this.tell({ do: "ask", number, what });
    const said = await Promise.race([answered, this.ended(), after(answerLimitMs)]);
    this.#waiting.delete(number);
    return said?.value as Answers[What] | undefined;
  }
}

/** Processes that have loaded everything and wait for a store: a server is back within a few milliseconds, as on a machine that is not busy. */
export class Spares {
  readonly #cache: string;
  readonly #count: number;
  readonly #waiting: ServerProcess[] = [];
  readonly #all = new Set<ServerProcess>();

  constructor(cache: string, count: number) {
    this.#cache = cache;
    this.#count = count;
  }

  take(): ServerProcess {
    this.warm();
    const taken = this.#waiting.shift() as ServerProcess;
    this.warm();
    return taken;
  }

  /** Begins as many as are to wait. */
  warm(): void {
    while (this.#waiting.length < this.#count) this.#waiting.push(this.#begin());
  }

  /** Ends every process that was ever taken or waits. */
  kill(): void {
    for (const { child } of this.#all) child.kill("SIGKILL");
  }

  #begin(): ServerProcess {
    const process = new ServerProcess(this.#cache);
    this.#all.add(process);
    process.child.once("exit", () => this.#all.delete(process));
    return process;
  }
}

export interface SlotOptions {
  readonly index: number;
  readonly at: () => StoreAt;
  readonly spares: Spares;
  readonly complain: (message: string) => void;
  readonly mark: (name: string) => void;
  readonly life: (process: string, what: "began" | "died") => void;
}

/** A place for a server, with one process after another. */
export class Slot {
  /** Undefined while nothing listens. */
  port: number | undefined;
  stopped = false;
  process: ServerProcess | undefined;
  readonly name: string;
  readonly #options: SlotOptions;
  #lives = 0;
  #mayEnd: "no" | "by SIGBUS" | "yes" = "no";

  constructor(options: SlotOptions) {
    this.#options = options;
    this.name = `server-${options.index + 1}`;
  }

  /** Begins a new process on the store. Throws `StartFailure`. */
  async start(): Promise<void> {
    const { spares, at, index, life, complain, mark } = this.#options;
    const process = spares.take();
    const name = `${this.name}.${++this.#lives}`;
    this.process = process;
    this.#mayEnd = "no";
    const serving = Promise.withResolvers<number>();
    process.heard = (said) => {
      if (said.kind === "serving") serving.resolve(said.port);
      else if (said.kind === "failed") serving.reject(new StartFailure(said.code, said.message));
      else if (said.kind === "complaint") complain(`${name}: ${said.message}`);
      else if (said.kind === "mark") mark(said.name);
    };
    process.child.once("exit", (code, signal) => {
      if (this.process === process) this.port = undefined;
      life(name, "died");
      serving.reject(new StartFailure("", `${name} ended before it served (${signal ?? code})\n${process.stderr}`));
      if (this.#mayEnd === "yes" || (this.#mayEnd === "by SIGBUS" && signal === "SIGBUS")) return;
      complain(`${name} ended by itself (${signal ?? `exit code ${code}`})\n${process.stderr}`);
    });
    life(name, "began");
    process.tell({ do: "start", at: at(), life: this.#lives, server: index });
    const port = await Promise.race([serving.promise, after(startLimitMs)]);
    if (port === undefined) throw new StartFailure("", `${name} did not serve within ${startLimitMs / 1000} s\n${process.stderr}`);
    this.port = port;
  }

  /** A process whose file system goes away may be ended by the kernel: pages of a mapped file cannot be read any more. */
  expectBusError(): void {
    this.#mayEnd = "by SIGBUS";
  }

  kill(): void {
    this.#mayEnd = "yes";
    this.port = undefined;
    this.process?.child.kill("SIGKILL");
  }

  freeze(): void {
    this.stopped = true;
    this.process?.child.kill("SIGSTOP");
  }

  /** Resolves when no thread of it runs any more, also none that was inside a system call. */
  async standsStill(): Promise<void> {
    const { process } = this;
    const pid = process?.child.pid;
    if (!process || pid === undefined) return;
    while (!process.hasEnded && !isStopped(pid)) await sleep(1);
  }

  goOn(): void {
    this.stopped = false;
    this.process?.child.kill("SIGCONT");
  }

  async ended(): Promise<void> {
    await this.process?.ended();
  }

  /** Lets it finish what it has begun. */
  async stop(): Promise<void> {
    const { process } = this;
    if (!process || process.hasEnded) return;
    this.#mayEnd = "yes";
    this.port = undefined;
    process.tell({ do: "stop" });
    const stopped = await Promise.race([process.ended().then(() => true), after(stopLimitMs)]);
    const { exitCode, signalCode } = process.child;
    if (!stopped) this.#options.complain(`${this.name} did not stop within ${stopLimitMs / 1000} s`);
    else if (exitCode !== 0)
      this.#options.complain(`${this.name} stopped with ${signalCode ?? `exit code ${exitCode}`}\n${process.stderr}`);
    process.child.kill("SIGKILL");
    await process.ended();
  }
}

function isStopped(pid: number): boolean {
  const threads = `/proc/${pid}/task`;
  try {
    return readdirSync(threads).every((thread) => {
      const stat = readFileSync(join(threads, thread, "stat"), "utf8");
      return stat.charAt(stat.lastIndexOf(")") + 2) === "T";
    });
  } catch {
    return false; // it has just ended, or a thread of it has
  }
}

/** Keeps no process alive. */
function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined).unref());
}
