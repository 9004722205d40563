/**
 * A run: the real code of a service, its gateway and its clients in one thread and virtual time, on a host on which
 * everything can go wrong, with one seed for all of it. While it runs its history is written; then everything is
 * healed, and the checkers say what the promises rule out.
 *
 * After FoundationDB's simulation (Zhou et al., SIGMOD 2021) and TigerBeetle's VOPR.
 */
import type { Client, Served } from "../client/facade.ts";
import { ConvergentError } from "../errors/error.ts";
import { type AnyService, runtimeOf } from "../service/service.ts";
import { checkHistory, marksIn } from "./checkers/check.ts";
import type { FaultChoice, FaultKind } from "./faults.ts";
import type { HistoryRecord, Violation } from "./history.ts";
import { beginNemesis } from "./nemesis.ts";
import { ProcessDied, type SimulatedProcess } from "./process.ts";
import { SeededRandom } from "./random.ts";
import { readersBehind, sagasUnderWay, watchesBehind } from "./resting.ts";
import type { Gateway, Server } from "./server.ts";
import { type Connect, World } from "./world.ts";

/** One client with a session of its own, as a workload sees it. */
export interface Actor<S extends Served, Outside = undefined> {
  readonly name: string;
  readonly client: Client<S>;
  /** Draws from the run's seed: whatever a workload leaves to chance it must take from here. */
  readonly random: SeededRandom;
  /** What the option `outside` made for this run. */
  readonly outside: Outside;
  /** Virtual time passes. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Counts that something happened, to see later that it happens at all. */
  readonly mark: (name: string) => void;
}

/** What a definition may ask of the run it is made for. */
export interface Circumstances<Outside = undefined> {
  /** What the option `outside` made for this run. */
  readonly outside: Outside;
  /** Whether a handler shall fail now: with the fault "handler failure", and never while the checkers fold. */
  readonly fails: () => boolean;
  /**
   * A client of the services as the process that starts them has it, by the network of the run: for what a saga asks of another service.
   * Commands are kept as this actor's.
   */
  readonly connect: Connect;
  /** Counts that something happened, as a workload does. */
  readonly mark: (name: string) => void;
  /** Counted from 1: which life of its server starts the service, for releases that follow each other. */
  readonly life: number;
  /** Counted from 0. */
  readonly server: number;
}

// These two have the types of methods, whose parameters are compared both ways: one that is declared elsewhere, for just the services of
// the run, is compared before it is known what these are.

/** What one client does. */
export type Workload<S extends AnyService & Served, Outside = undefined> = { does(actor: Actor<S, Outside>): Promise<void> }["does"];

/** What must hold in the end, of the services of one server and of what lies outside; throws when it does not. */
export type Invariant<S extends AnyService, Outside = undefined> = {
  holds(running: ReadonlyArray<Awaited<ReturnType<S["start"]>>>, outside: Outside, ended: Ended): Promise<void> | void;
}["holds"];

/** What an invariant may ask of the run. */
export interface Ended {
  /** Names of services whose store an older copy took the place of: what others had of them by then, and they of others, does not fit. */
  readonly replaced: ReadonlySet<string>;
}

/** What is run, and what is made to go wrong. */
export interface SimulateOptions<S extends AnyService & Served, Outside = undefined> {
  /** One seed is one run, to the last step. */
  readonly seed: number;
  /** Puts HTTP before the services: `createGateway` of `@convergent/server`. */
  readonly gateway: Gateway;
  /**
   * What one client does; it is called again and again until the run ends. A `ConvergentError` that it throws is part of a client's
   * life and only counted, as `thrown CODE`; anything else is a violation.
   */
  readonly workload: Workload<S, Outside>;
  /**
   * Makes what lies outside of the services and outlives all their crashes, for instance a payment provider or a cache, anew for each run.
   * Clients, invariants and functions that make the services are given it. It must take time and randomness from what it is given.
   */
  readonly outside?: (world: { readonly random: SeededRandom }) => Outside;
  /** Steps until everything is healed. Default 2,000. */
  readonly steps?: number;
  /** Default: by seed from 1 to 3. */
  readonly servers?: number;
  /** Default 3. */
  readonly clients?: number;
  /** Default: a random subset of all kinds, by seed. */
  readonly faults?: FaultChoice;
  /** Kinds that the random subset leaves out. */
  readonly except?: readonly FaultKind[];
  /** Whether clients have sockets, by which they watch; without them they ask again and again. Default true. */
  readonly sockets?: boolean;
  /** What must hold in the end, when everything is healed and every reader has come to head: throws when it does not. Asked of the services of each server. */
  readonly invariants?: Readonly<Record<string, Invariant<S, Outside>>>;
  /** Virtual time within which everything that was healed must have settled. Default 60,000 ms. */
  readonly settleWithinMs?: number;
}

/** What came of a run. */
export interface SimulationReport {
  readonly seed: number;
  readonly steps: number;
  readonly virtualMs: number;
  readonly servers: number;
  /** The kinds of faults that could happen, with their rates. */
  readonly rates: Readonly<Partial<Record<FaultKind, number>>>;
  /** How often each kind of fault happened. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** What happened, and how often. */
  readonly marks: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  readonly history: readonly HistoryRecord[];
  /** Two runs with the same hash made the same steps. */
  readonly hash: string;
}

/** The services of a run: definitions, or how they are made for each start. */
export type Simulated<S extends AnyService, Outside = undefined> =
  | S
  | readonly S[]
  | ((circumstances: Circumstances<Outside>) => S | readonly S[]);

/** How far apart what a client does is, in the mean. */
const thinkMs = 60;
/** Once everything was healed, a question is answered in so much virtual time, or its process is gone. */
const answerMs = 10_000;
/** A store is looked into about so often. */
const lookSteps = 400;

/** Definitions that are only folded, or looked at, fail nowhere and ask nobody. */
const quiet: Pick<Circumstances, "fails" | "connect" | "mark"> = {
  fails: () => false,
  mark: () => undefined,
  connect: () => {
    throw new Error("nothing is asked of anybody while definitions are folded");
  },
};

/** Runs the services once and says what was found. Violations are in the report; only a mistake in the options throws. */
export async function simulate<S extends AnyService & Served, Outside = undefined>(
  services: Simulated<S, Outside>,
  options: SimulateOptions<S, Outside>,
): Promise<SimulationReport> {
  return new Simulation(services, options).run();
}

class Simulation<S extends AnyService & Served, Outside> {
  readonly #options: SimulateOptions<S, Outside>;
  readonly #world: World;
  readonly #services: (circumstances: Omit<Circumstances, "outside">) => readonly S[];
  readonly #outside: Outside;
  readonly #actors: Array<Promise<void>> = [];
  readonly #found: Violation[] = [];
  /** The definitions of every release that was started; nothing fails in them. */
  readonly #releases: S[] = [];
  #over = false;

  constructor(services: Simulated<S, Outside>, options: SimulateOptions<S, Outside>) {
    this.#options = options;
    // Without the option there is nothing outside, and its type is undefined.
    this.#outside = options.outside?.({ random: new SeededRandom(options.seed, "outside") }) as Outside;
    this.#services = (circumstances) => {
      const made = typeof services === "function" ? services({ ...circumstances, outside: this.#outside }) : services;
      return Array.isArray(made) ? (made as readonly S[]) : [made as S];
    };
    const shape = new SeededRandom(options.seed, "shape");
    const drawn = 1 + shape.below(3); // drawn in any case, so that a number that is given changes nothing else
    const servers = options.servers ?? drawn;
    this.#world = new World(this.#worldOptions({ servers, onePlace: shape.chance(0.4) }));
  }

  async run(): Promise<SimulationReport> {
    // In production a rejection that nobody handles ends the process. What a process that died still rejects, nobody hears.
    const unhandled = (error: unknown): void => {
      if (!(error instanceof ProcessDied)) this.#found.push({ checker: "unhandled rejection", message: textOf(error) });
    };
    process.on("unhandledRejection", unhandled);
    try {
      const steps = await this.#run();
      return this.#report(steps);
    } catch (error) {
      // The world itself could not go on, for instance because what a store left on the disk cannot be read.
      this.#found.push({ checker: "run", message: textOf(error) });
      return this.#report(this.#world.scheduler.steps);
    } finally {
      process.off("unhandledRejection", unhandled);
    }
  }

  get #settleWithinMs(): number {
    return this.#options.settleWithinMs ?? 60_000;
  }

  /** Answers after how many steps everything was healed. */
  async #run(): Promise<number> {
    const world = this.#world;
    const { steps = 2000 } = this.#options;
    for (const server of world.servers) server.begin();
    beginNemesis(world);
    this.#beginActors();
    await this.#work(() => world.scheduler.steps >= steps);
    const worked = world.scheduler.steps;
    await this.#settle();
    this.#found.push(...checkHistory(world.history, this.#releases));
    for (const mark of marksIn(world.history, this.#releases)) world.mark(mark);
    return worked;
  }

  #report(steps: number): SimulationReport {
    const world = this.#world;
    return {
      seed: this.#options.seed,
      steps,
      virtualMs: Math.round(world.scheduler.now),
      servers: world.servers.length,
      rates: world.faults.rates,
      faults: Object.fromEntries(world.faults.counts),
      marks: Object.fromEntries(world.marks),
      violations: [...this.#found, ...world.complaints.map((message) => ({ checker: "complaints", message }))],
      history: world.history,
      hash: world.scheduler.hash,
    };
  }

  #worldOptions(shape: { readonly servers: number; readonly onePlace: boolean }): ConstructorParameters<typeof World>[0] {
    const { seed, faults = "swarm", except = [], gateway, sockets = true } = this.#options;
    return {
      seed,
      faults,
      except,
      ...shape,
      gateway,
      sockets,
      stores: this.#definitions().map(({ name }) => name),
      services: (life, server, connect) => {
        this.#releases.push(...this.#services({ life, server, ...quiet }));
        const mark = (name: string): void => this.#world.mark(name);
        return this.#services({ life, server, connect, mark, fails: () => this.#world.faults.hits("handler failure") });
      },
    };
  }

  /** The services as they are first released. */
  #definitions(): readonly S[] {
    return this.#services({ life: 1, server: 0, ...quiet });
  }

  #beginActors(): void {
    const { clients = 3, workload } = this.#options;
    for (let index = 1; index <= clients; index++) {
      const name = `client-${index}`;
      const { client, process } = this.#world.client<S>(name, { onHistoryLost: () => this.#world.mark("history lost, told to a client") });
      const actor: Actor<S, Outside> = {
        name,
        client,
        outside: this.#outside,
        random: this.#world.random(`workload of ${name}`),
        sleep: (ms) => process.delay(ms, "sleep"),
        mark: (mark) => this.#world.mark(mark),
      };
      this.#actors.push(this.#act(actor, process, workload));
    }
  }

  async #act(actor: Actor<S, Outside>, process: SimulatedProcess, workload: Workload<S, Outside>): Promise<void> {
    while (!this.#over) {
      await process.delay(actor.random.exponential(thinkMs), "thinks");
      if (this.#over) return;
      try {
        await workload(actor);
      } catch (error) {
        // A refusal, an unknown outcome, a reader behind: that is what clients live with. Anything else is a defect, ours or the workload's.
        if (error instanceof ConvergentError) this.#world.mark(`thrown ${error.code}`);
        else this.#found.push({ checker: "workload", message: `${actor.name} met ${textOf(error)}` });
      }
    }
  }

  /** Makes steps, and looks into the stores now and then. */
  async #work(done: () => boolean): Promise<void> {
    const { scheduler, databases } = this.#world;
    while (!done()) {
      const until = scheduler.steps + lookSteps;
      if (!(await scheduler.run(() => done() || scheduler.steps >= until))) throw new Error("nothing is left to happen in this run");
      for (const database of databases) if (database.isOpen) await this.#world.recordViews(database);
    }
  }

  async #settle(): Promise<void> {
    const world = this.#world;
    this.#over = true;
    world.heal();
    const begun = world.scheduler.now;
    const withinMs = this.#settleWithinMs;
    const late = (): boolean => world.scheduler.now - begun > withinMs;
    // Clients end what they began: at most their time limit, and they may begin it anew for a few refused tokens.
    await this.#wait(Promise.all(this.#actors), withinMs);
    let behind = await this.#behind();
    while (behind.length > 0 && !late()) {
      const next = world.scheduler.now + 250;
      await this.#work(() => world.scheduler.now >= next);
      behind = await this.#behind();
    }
    world.record({ kind: "settled", t: world.scheduler.now, withinMs, behind });
    if (behind.length === 0) await this.#checkInvariants();
    for (const database of world.databases) await this.#wait(world.recordViews(database), answerMs);
    const stopped = await this.#wait(Promise.all(world.servers.map((server) => server.stop())), withinMs);
    // A saga that slept may have gone on meanwhile: what was acknowledged until they stopped must be there.
    await this.#wait(world.recordEnd(), answerMs);
    if (!stopped) this.#found.push({ checker: "liveness", message: "the services did not stop" });
  }

  async #checkInvariants(): Promise<void> {
    const replaced = new Set([...this.#world.lineages].filter(([, lineage]) => lineage > 0).map(([store]) => store));
    for (const server of this.#world.servers) {
      for (const [name, holds] of Object.entries(this.#options.invariants ?? {})) {
        const running = server.running as ReadonlyArray<Awaited<ReturnType<S["start"]>>>;
        const checked = (async () => holds(running, this.#outside, { replaced }))().catch((error: unknown) => {
          this.#found.push({ checker: `invariant: ${name}`, message: `${server.name}: ${textOf(error)}` });
        });
        if (!(await this.#wait(checked, answerMs)))
          this.#found.push({ checker: `invariant: ${name}`, message: `${server.name}: it does not end` });
      }
    }
  }

  /**
   * Makes steps until the promise settles, which a promise of a process that dies meanwhile never does: false after so much
   * virtual time.
   */
  async #wait(work: Promise<unknown>, withinMs: number): Promise<boolean> {
    const { scheduler } = this.#world;
    const until = scheduler.now + withinMs;
    let settled = false;
    void work.then(() => (settled = true));
    await scheduler.run(() => settled || scheduler.now > until);
    return settled;
  }

  /** What has not come to rest, by name. */
  async #behind(): Promise<string[]> {
    let found = ["a server that was asked did not answer"];
    // Processes do not agree on the time, and whose turn it is may believe that it is the earliest of them.
    const times = this.#world.servers.flatMap(({ process: each }) => (each ? [each.host.clock.now()] : []));
    const until = Math.min(...times) + this.#settleWithinMs;
    const asked = this.#world.servers.map((server) =>
      this.#behindOf(server, until).catch((error: unknown) => [`${server.name} does not say what is under way: ${textOf(error)}`]),
    );
    await this.#wait(
      Promise.all(asked).then((all) => (found = all.flat())),
      answerMs,
    );
    return [...found, ...this.#world.broken.map((store) => `${store} is not opened again`)];
  }

  async #behindOf(server: Server, until: number): Promise<string[]> {
    if (!server.listening) return [`${server.name} is not up`];
    const behind: string[] = [];
    for (const running of server.running) {
      const runtime = runtimeOf(running);
      const head = await runtime.log.head();
      behind.push(...(await readersBehind(runtime)).map((what) => `${server.name}: ${what}`));
      if (behind.length === 0) behind.push(...(await sagasUnderWay(runtime, until)).map((what) => `${server.name}: ${what}`));
      if (behind.length === 0) behind.push(...(await watchesBehind(runtime, this.#world.watches.standing)));
      if (head.position < 0) behind.push(server.name);
    }
    return behind;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
