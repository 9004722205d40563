/**
 * The world of one run: a machine with a disk and the stores on it, servers, clients, and time. It knows how things are made
 * and how they die; when they do is the nemesis's to say.
 */
import { connectOn } from "../client/connect.ts";
import type { Client, Served } from "../client/facade.ts";
import type { HistoryLost } from "../client/session.ts";
import type { Host } from "../host/host.ts";
import type { StoredEvent } from "../log/event.ts";
import type { LogSource } from "../log/source.ts";
import type { Store } from "../log/store.ts";
import { continueReader } from "../readers/continuing.ts";
import { type AnyService, runtimeOf, type StartOptions } from "../service/service.ts";
import { memoryDisk } from "../stores/memory/memory-disk.ts";
import { MemoryStore } from "../stores/memory/memory-store.ts";
import { type Commit, Database } from "./database.ts";
import { SimulatedDisk } from "./disk.ts";
import { dumpLog, heldViews, type LogDump } from "./dump.ts";
import { type FaultChoice, type FaultKind, Faults } from "./faults.ts";
import type { HistoryRecord } from "./history.ts";
import { SimulatedNetwork } from "./network.ts";
import { SimulatedProcess } from "./process.ts";
import { SeededRandom } from "./random.ts";
import { Recorder } from "./recorder.ts";
import { Scheduler } from "./scheduler.ts";
import { type Gateway, Server } from "./server.ts";
import { WatchRecorder } from "./watch-recorder.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly faults: FaultChoice;
  readonly except: readonly FaultKind[];
  readonly servers: number;
  /** Whether all servers are one machine, where one sees at once when another has ended. */
  readonly onePlace: boolean;
  readonly services: (life: number, server: number, connect: Connect) => readonly AnyService[];
  readonly stores: readonly string[];
  readonly gateway: Gateway;
  readonly sockets: boolean;
}

/** A client of the services as one process has it, over the network of the run. */
export type Connect = <S extends Served>(actor: string) => Client<S>;

/** So often somebody looks whether something stands still. */
const operatorMs = 700;

/** How long one attempt of a client may take. */
const patience = "5s";

/** Where clients find the gateway; who answers is the network's affair. */
const address = "http://localhost";

export class World {
  readonly scheduler: Scheduler = new Scheduler();
  readonly faults: Faults;
  readonly disk: SimulatedDisk;
  readonly databases: readonly Database[];
  readonly servers: readonly Server[];
  readonly history: HistoryRecord[] = [];
  /** What was seen to happen, and how often. */
  readonly marks: Map<string, number> = new Map();
  /** What should never happen and was told by the code itself. */
  readonly complaints: string[] = [];
  /** What was asked and told over connections. */
  readonly watches: WatchRecorder;
  /** Of each store the number of its present lineage. */
  readonly lineages: Map<string, number> = new Map();
  readonly #seed: number;
  readonly #network: SimulatedNetwork;
  readonly #kept = new Map<string, number>();
  /** A store failed under its processes: they must be begun again. */
  readonly #broken = new Set<string>();

  constructor(options: WorldOptions) {
    const { seed, servers, stores } = options;
    this.#seed = seed;
    const told = (fault: FaultKind): void => this.record({ kind: "fault", t: this.scheduler.now, fault });
    this.faults = new Faults(options.faults, (purpose) => this.random(purpose), told, options.except);
    this.disk = new SimulatedDisk(this.faults, this.random("disk"));
    this.databases = stores.map((name) => this.#database(name));
    this.servers = Array.from({ length: servers }, (_, index) => this.#server(index, options));
    const now = (): number => this.scheduler.now;
    const write = (record: HistoryRecord): void => this.record(record);
    this.watches = new WatchRecorder(now, write);
    this.#network = new SimulatedNetwork({
      faults: this.faults,
      randomFor: (purpose) => this.random(purpose),
      now,
      endpoints: this.servers,
      recorder: new Recorder(now, write),
      watches: this.watches,
      mark: (name) => this.mark(name),
      sockets: options.sockets,
    });
    if (stores.length > 1) this.#look();
    for (const name of stores) {
      this.lineages.set(name, 0);
      this.record({ kind: "lineage", t: 0, store: name, lineage: 0, kept: 0 });
    }
  }

  /** Randomness for one purpose. */
  random(purpose: string): SeededRandom {
    return new SeededRandom(this.#seed, purpose);
  }

  record(record: HistoryRecord): void {
    this.history.push(record);
    if (record.kind === "fail") this.mark(`answered ${record.code}`);
    if (record.kind === "ok" && record.what === "command" && record.repeated) this.mark("answered again");
    if (record.kind === "ok" && record.what === "document") this.mark(record.fresh ? "read fresh" : "read not fresh");
    if (record.kind !== "event") this.scheduler.note(JSON.stringify(record));
  }

  mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }

  client<Service extends Served>(
    name: string,
    options: { readonly onHistoryLost?: (lost: HistoryLost) => void },
  ): { client: Client<Service>; process: SimulatedProcess } {
    const process: SimulatedProcess = new SimulatedProcess({
      name,
      scheduler: this.scheduler,
      random: this.random(name),
      disk: this.disk,
      network: this.#network.seenBy(() => process, name),
      place: name,
      isGone: () => false,
    });
    return { client: connectOn<Service>(process.host, address, { actor: name, timeout: patience, ...options }), process };
  }

  /** Nothing goes wrong from now on, and what had gone wrong is mended. */
  heal(): void {
    this.faults.heal();
    for (const server of this.servers) {
      server.cut = "nothing";
      server.process?.resume();
      if (server.process) server.process.drift = 0;
      for (const running of server.running) for (const reader of runtimeOf(running).readers()) reader.resume();
    }
  }

  /** Stores that failed and were not opened again yet. */
  get broken(): string[] {
    return [...this.#broken];
  }

  /** All processes die at once; what was not synced is lost, unless only the processes are ended. */
  cutPower(how: "power" | "processes"): void {
    for (const server of this.servers) server.kill();
    for (const database of this.databases) database.kill();
    if (how === "power") this.disk.lose();
    this.#broken.clear();
  }

  /** Puts an older copy of a store's file in the place of the store, as somebody does by hand who knows no better. */
  async restore(database: Database, copy: Uint8Array, options: { readonly witness: "kept" | "lost" }): Promise<void> {
    const { name, path } = database;
    this.cutPower("processes");
    const before = (await dumpOf(this.disk.content(path), name)).events;
    this.disk.put(path, copy);
    if (options.witness === "lost") this.disk.remove(`${path}-witness`);
    const kept = (await dumpOf(copy, name)).events.length;
    this.#endLineage(name, before);
    const lineage = (this.lineages.get(name) ?? 0) + 1;
    this.lineages.set(name, lineage);
    this.#kept.set(name, kept);
    this.record({ kind: "lineage", t: this.scheduler.now, store: name, lineage, kept });
  }

  /** Records what the stores hold in the end. */
  async recordEnd(): Promise<void> {
    for (const { name, path } of this.databases) {
      const { events, epochs, ids } = await dumpOf(this.disk.content(path), name);
      this.#endLineage(name, events);
      this.record({ kind: "epochs", store: name, epochs });
      const lineage = this.lineages.get(name) ?? 0;
      for (const { scope, id, stream, firstVersion, lastVersion, position } of ids)
        this.record({ kind: "id", store: name, lineage, scope, id, stream, firstVersion, lastVersion, position });
    }
  }

  /** Records what the views of a store hold at this moment. */
  async recordViews(database: Database): Promise<void> {
    const store = await database.opened();
    const lineage = this.lineages.get(database.name) ?? 0;
    for (const held of await store.read(heldViews))
      this.record({ kind: "held", t: this.scheduler.now, store: database.name, lineage, ...held });
  }

  #endLineage(store: string, events: readonly StoredEvent[]): void {
    const lineage = this.lineages.get(store) ?? 0;
    for (const event of events.slice(this.#kept.get(store) ?? 0)) this.record({ kind: "event", store, lineage, event });
  }

  #database(name: string): Database {
    return new Database({
      name,
      faults: this.faults,
      random: this.random(`store ${name}`),
      life: {
        scheduler: this.scheduler,
        random: this.random(`ids of ${name}`),
        disk: this.disk,
        place: "machine",
        isGone: () => false,
      },
      committed: (commit) => this.#committed(commit),
      broke: () => this.#repair(name),
    });
  }

  /**
   * What an operator does after a store was replaced by an older copy: readers of it in other services have stopped, because
   * their checkpoints lie past the fork, and are put back to it while no process runs (`convergent reader continue`).
   */
  async operate(): Promise<void> {
    const stopped = this.servers.flatMap(({ running }) =>
      running.flatMap((each) => {
        const { log, reactions } = runtimeOf(each);
        return [...reactions.values()]
          .filter(({ reader }) => reader.source !== log && reader.state === "stuck")
          .map(({ reader }) => ({ store: log.store, reader }));
      }),
    );
    const lost = stopped.filter(({ reader }) => (this.lineages.get(reader.source.store) ?? 0) > 0);
    if (lost.length === 0) return;
    this.mark("readers put back to the fork");
    for (const server of this.servers) server.hold();
    for (const database of this.databases) database.kill();
    try {
      // Another older copy may be put in place meanwhile; then nobody answers any more.
      await Promise.race([this.#putBack(lost), ...this.databases.map((database) => database.died)]);
    } catch {
      this.mark("readers not put back"); // the disk was full, for instance: the operator looks again
    } finally {
      for (const server of this.servers) server.letGo();
    }
  }

  async #putBack(
    lost: ReadonlyArray<{ readonly store: string; readonly reader: { readonly name: string; readonly source: LogSource } }>,
  ): Promise<void> {
    for (const { store, reader } of lost) {
      const source = await this.#named(reader.source.store).opened();
      const head = await source.read((tx) => tx.head());
      const present = { store: reader.source.store, epochs: source.identity.epochs, head: head.position };
      const effects = await this.#named(store).opened();
      await effects.write((tx) => continueReader(tx, reader.name, present));
    }
  }

  #named(store: string): Database {
    return this.databases.find(({ name }) => name === store) as Database;
  }

  // An operator looks now and then, also after everything was healed.
  #look(): void {
    this.scheduler.after(operatorMs, "the operator looks", () => void this.operate().then(() => this.#look()));
  }

  // Somebody sees that every write fails and begins the processes again, which read from the disk what there is.
  #repair(store: string): void {
    if (this.#broken.has(store)) return;
    this.#broken.add(store);
    this.scheduler.after(1500, "the store is opened again", () => {
      if (this.#broken.has(store)) this.cutPower("processes");
    });
  }

  #committed({ store, process, events, checkpoints, leases }: Commit): void {
    if (events.length > 0) this.record({ kind: "commit", t: this.scheduler.now, store, process, events: events.map(({ id }) => id) });
    for (const { reader, version, slot, source, position } of checkpoints)
      this.record({ kind: "checkpoint", t: this.scheduler.now, store, reader, version, slot, source, position });
    for (const { reader, version, slot, source, owner, fence } of leases)
      this.record({ kind: "lease", t: this.scheduler.now, store, reader, version, slot, source, owner, fence });
  }

  #server(index: number, { onePlace, services, gateway }: WorldOptions): Server {
    const name = `server-${index + 1}`;
    const random = this.random(name);
    const server: Server = new Server({
      name,
      random,
      databases: this.databases,
      network: (process) => this.#network.seenBy(process),
      services: (life, process) => services(life, index, (actor) => connectOn(process.host, address, { actor, timeout: patience })),
      gateway,
      start: this.#startOptions(),
      begun: (process) => {
        this.record({ kind: "life", t: this.scheduler.now, process: process.name, what: "began" });
        if (this.faults.hits("clock skew")) process.offsetMs = random.between(-5000, 5000);
      },
      // A process that is alone has its store in itself, as a memory store is used; of several the store outlives each.
      ended: (process) => {
        this.record({ kind: "life", t: this.scheduler.now, process: process.name, what: "died" });
        if (this.servers.length === 1) for (const database of this.databases) database.kill();
      },
      failed: (error) => {
        this.mark("start failed");
        if (!this.#isExpected(error)) this.complaints.push(`${name} did not start: ${String(error)}`);
      },
      life: {
        scheduler: this.scheduler,
        random: this.random(`ids of ${name}`),
        disk: this.disk,
        place: onePlace ? "machine" : name,
        isGone: (process) => this.servers.every((each) => each.isGone(process)),
        reached: (point) => {
          this.mark(point);
          if (this.faults.hits("crash at a point")) server.kill();
        },
      },
    });
    return server;
  }

  #startOptions(): Omit<StartOptions, "store" | "channels"> {
    return {
      onParked: () => this.mark("event parked"),
      onStuck: () => this.mark("reader stuck"),
      onFork: ({ store, fork }) => {
        this.mark("older copy noticed");
        if (this.lineages.get(store) === 0)
          this.complaints.push(`${store} takes itself for an older copy that ends at ${fork}, and nobody replaced it`);
      },
      onRebuild: ({ kind }) => this.mark(`rebuild ${kind}`),
      onRefusal: () => this.mark("reaction refused"),
      onParkedSaga: () => this.mark("operator told of a parked saga"),
    };
  }

  #isExpected(error: unknown): boolean {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
    return ["disk_full", "outcome_unknown", "unavailable", "transaction_timeout", "closed", "token_epoch"].includes(String(code));
  }
}

/** A store over a copy of a file, outside of all time. */
async function scratchStore(bytes: Uint8Array, name: string): Promise<Store> {
  const disk = memoryDisk();
  const path = `${name}.journal`;
  const file = await disk.open(path);
  await file.append(bytes);
  return MemoryStore.open({ host: { ...outsideHost, disk }, path, name });
}

async function dumpOf(bytes: Uint8Array, name: string): Promise<LogDump> {
  return (await scratchStore(bytes, name)).read(dumpLog);
}

const outsideHost: Host = {
  clock: { now: () => 0, elapsed: () => 0 },
  random: new SeededRandom(0, "outside"),
  timers: { after: () => ({ cancel: () => undefined }), sleep: () => Promise.resolve(), turn: () => Promise.resolve() },
  disk: memoryDisk(),
  network: { request: () => Promise.reject(new Error("nobody is outside")) },
  processes: { self: { place: "outside", process: "outside" }, isGone: () => false },
  reached: () => undefined,
};
