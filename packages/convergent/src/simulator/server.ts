/** A server of the simulated world: a process that runs the services and answers requests, begun again whenever it has died. */
import type { Network } from "../host/host.ts";
import type { AnyService, Running, StartOptions } from "../service/service.ts";
import { inProcess } from "../service/service.ts";
import type { Database } from "./database.ts";
import type { Accepting } from "./connections.ts";
import type { Answering, Endpoint } from "./network.ts";
import type { Life } from "./process.ts";
import { SimulatedProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";

/** Puts a gateway before running services; `createGateway` of the server package is one. */
export type Gateway = (services: readonly Running[]) => {
  readonly fetch: Answering;
  /** Takes up connections of `/live`; without it they are refused. */
  readonly accept?: Accepting;
  /** Nobody waits any more, nor watches. */
  readonly end?: () => void;
};

export interface ServerOptions {
  readonly name: string;
  readonly life: Omit<Life, "name" | "network">;
  /** What a life of it asks others by. */
  readonly network: (process: () => SimulatedProcess) => Network;
  readonly random: SeededRandom;
  readonly databases: readonly Database[];
  /** The services, as the release that begins now has them. */
  readonly services: (life: number, process: SimulatedProcess) => readonly AnyService[];
  readonly gateway: Gateway;
  readonly start: Omit<StartOptions, "store" | "channels">;
  /** Called with each new life, before anything runs in it. */
  readonly begun: (process: SimulatedProcess) => void;
  /** Called when a life has ended. */
  readonly ended: (process: SimulatedProcess) => void;
  /** Told why services could not start; they are started again. */
  readonly failed: (error: unknown) => void;
}

/** A service that did not start, for instance because the disk was full, is started again after so long. */
const restartMs = { least: 100, most: 1500 };

/** As long as an orchestrator waits before it kills. */
const stopWithinMs = 10_000;

export class Server implements Endpoint {
  readonly name: string;
  cut: Endpoint["cut"] = "nothing";
  listening: Endpoint["listening"];
  process: SimulatedProcess | undefined;
  running: readonly Running[] = [];
  readonly #options: ServerOptions;
  #lives = 0;
  #end: () => void = () => undefined;
  #halted = false;
  #held = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.name = options.name;
  }

  /** Whether a process of this name has ended. */
  isGone(process: string): boolean {
    return this.process?.name !== process;
  }

  begin(): void {
    if (this.#halted || this.#held || this.process) return;
    const { life, begun, network } = this.#options;
    const name = `${this.name}.${++this.#lives}`;
    const process: SimulatedProcess = new SimulatedProcess({ ...life, name, network: network(() => process) });
    this.process = process;
    begun(process);
    void this.#start(process);
  }

  /** Kill -9; it begins again after a while. */
  kill(): void {
    const { process } = this;
    if (!process) return;
    this.#forget();
    process.kill();
    this.#options.ended(process);
    this.#options.life.scheduler.after(this.#restartMs(), `${this.name} restarts`, () => this.begin());
  }

  /** Ends its services as they should be ended, and begins again. One that does not end in time is killed. */
  async restart(): Promise<void> {
    const { process, running, listening } = this;
    if (!process || !listening) return;
    this.listening = undefined;
    this.#end();
    const impatient = this.#options.life.scheduler.after(stopWithinMs, `${this.name} does not end`, () => {
      if (this.process === process) this.kill();
    });
    // What cannot be said to a store that is away, others notice later.
    for (const each of [...running].reverse()) await each.stop().catch(() => undefined);
    impatient.cancel();
    if (this.process === process) this.kill();
  }

  /** Kill -9, and it does not begin again before it is let go. */
  hold(): void {
    this.#held = true;
    this.kill();
  }

  letGo(): void {
    this.#held = false;
    this.begin();
  }

  /** Ends its services as they should be ended, and begins no new life. */
  async stop(): Promise<void> {
    this.#halted = true;
    this.listening = undefined;
    this.#end();
    for (const running of [...this.running].reverse()) await running.stop();
    this.process?.kill();
  }

  async #start(process: SimulatedProcess): Promise<void> {
    const { services, databases, gateway, start, failed } = this.#options;
    const started: Running[] = [];
    try {
      for (const [index, service] of services(this.#lives, process).entries()) {
        const store = (databases[index] as Database).driver(process);
        const channels = started.map((running) => inProcess(running));
        started.push(await service.start({ ...start, store, channels }));
      }
    } catch (error) {
      if (process.isDead || this.process !== process) return;
      failed(error);
      this.kill();
      return;
    }
    if (process.isDead) return;
    const { fetch, accept, end } = gateway(started);
    this.running = started;
    this.#end = () => end?.();
    this.listening = { process, answer: (request) => fetch(request), ...(accept ? { accept: (handshake) => accept(handshake) } : {}) };
  }

  #forget(): void {
    this.listening = undefined;
    this.#end = () => undefined;
    this.running = [];
    this.process = undefined;
  }

  #restartMs(): number {
    return this.#options.random.between(restartMs.least, restartMs.most);
  }
}
