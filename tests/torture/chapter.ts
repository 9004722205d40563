/**
 * One chapter: a store from its creation to its judgement. Two servers on it, load all the time, a fault a round, and after
 * each the servers that died are begun again and every reader has to come to where the head was.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type HistoryRecord, SeededRandom, type Violation } from "convergent/simulator";
import { judge, type Judgement } from "./judge.ts";
import { Load } from "./load.ts";
import { Ext4, Folder, type Place, SmallDisk } from "./places.ts";
import type { Chapter, Fault } from "./plan.ts";
import type { Power } from "./power.ts";
import { Slot, type Spares, StartFailure } from "./servers.ts";
import type { ReaderAt } from "./server.ts";
import { type Database, databaseAt, type StoreName } from "./stores.ts";
import type { Way } from "./tcp-proxy.ts";

export interface Surroundings {
  readonly store: StoreName;
  readonly seed: number;
  readonly sessions: number;
  readonly spares: Spares;
  readonly power: Power | undefined;
  /** Told of each round that is over. */
  readonly done: (fault: Fault) => void;
  /** What is to be removed when the run ends early. */
  readonly places: Set<Place>;
  readonly databases: Set<Database>;
}

/** Load before a fault, and the time that one lasts. */
const calmMs = { least: 200, most: 1_000 };
const troubledMs = { least: 100, most: 400 };
/** Members are taken for gone when their beat stood still for 6 s: stops last less and more than that. */
const stopMs = { least: 4_000, most: 9_500 };
const fullMs = { least: 400, most: 1_500 };
const brokenMs = { least: 20, most: 300 };

/** Within this time every reader must be where the head was when the servers were up again. */
const settleWithinMs = 60_000;
const pollMs = 20;
/** The servers' views are written down every so many rounds. */
const viewsEvery = 6;
/** In so many rounds clients go through proxies. */
const proxiedShare = 0.3;

const serversCount = 2;

export class ChapterRun {
  readonly history: HistoryRecord[] = [];
  readonly marks = new Map<string, number>();
  acknowledged = 0;
  /** While at least one server served, and its disk had space. */
  upMs = 0;
  roundsDone = 0;
  readonly #chapter: Chapter;
  readonly #surroundings: Surroundings;
  readonly #random: SeededRandom;
  readonly #begun = performance.now();
  readonly #complaints: Violation[] = [];
  readonly #place: Folder | SmallDisk | Ext4;
  readonly #database: Database;
  readonly #slots: readonly Slot[];
  readonly #load: Load;
  #isBroken = false;

  constructor(chapter: Chapter, surroundings: Surroundings) {
    this.#chapter = chapter;
    this.#surroundings = surroundings;
    this.#random = new SeededRandom(surroundings.seed, `chapter ${chapter.number}`);
    this.#place = chapter.place === "folder" ? Folder.make() : chapter.place === "ext4" ? Ext4.make() : SmallDisk.make();
    surroundings.places.add(this.#place);
    this.#database = databaseAt(surroundings.store, this.#place.path);
    surroundings.databases.add(this.#database);
    const complain = (message: string): number =>
      this.#complaints.push({ checker: "complaints", message: `at ${Math.round(this.#now())} ms ${message}` });
    const mark = (name: string): Map<string, number> => this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
    this.#slots = Array.from(
      { length: serversCount },
      (_, index) =>
        new Slot({
          index,
          at: () => this.#database.at,
          spares: surroundings.spares,
          complain,
          mark,
          life: (process, what) => this.#record({ kind: "life", t: this.#now(), process, what }),
        }),
    );
    this.#load = new Load({
      random: new SeededRandom(surroundings.seed, `load of chapter ${chapter.number}`),
      slots: this.#slots,
      sessions: surroundings.sessions,
      now: () => this.#now(),
      write: (record) => this.#record(record),
      mark,
      complain,
    });
  }

  /** Runs it to its end and says what was found. */
  async run(): Promise<Judgement> {
    const clock = this.#watchUp();
    this.#record({ kind: "lineage", t: 0, store: "bank", lineage: 0, kept: 0 });
    try {
      await this.#startAll();
      this.#load.begin();
      for (const fault of this.#chapter.rounds) await this.#round(fault);
      await this.#load.end();
      clearInterval(clock);
      await this.#caughtUp("everywhere");
      await this.#recordViews();
      for (const slot of this.#slots) await slot.stop();
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      this.#complaints.push({ checker: "liveness", message: `a server did not start: ${error.message}` });
      for (const slot of this.#slots) slot.kill();
      await this.#load.end();
    } finally {
      clearInterval(clock);
    }
    await Promise.all(this.#slots.map((slot) => slot.ended()));
    const judgement = await judge(this.history, this.#database.at, { complaints: this.#complaints, now: () => this.#now() });
    await this.#database.stop();
    this.#surroundings.databases.delete(this.#database);
    this.#place.remove();
    this.#surroundings.places.delete(this.#place);
    return judgement;
  }

  async #round(fault: Fault): Promise<void> {
    const random = this.#random;
    const proxied = random.chance(proxiedShare);
    if (proxied) {
      await this.#load.through(wayOf(random));
      await sleep(random.between(troubledMs.least, troubledMs.most));
      if (random.chance(0.5)) await this.#load.straight(); // else the fault comes on top of it
    }
    await sleep(random.between(calmMs.least, calmMs.most));
    await this.#sample();
    await this.#strike(fault);
    await this.#load.straight();
    await this.#caughtUp("somewhere");
    await this.#sample();
    this.roundsDone++;
    if (this.roundsDone % viewsEvery === 0) await this.#recordViews();
    this.#surroundings.done(fault);
  }

  async #strike(fault: Fault): Promise<void> {
    this.#record({ kind: "fault", t: this.#now(), fault });
    switch (fault) {
      case "kill":
        return this.#kill();
      case "database kill":
        return this.#killDatabase();
      case "cut of connections":
        await this.#database.cutConnections();
        return;
      case "stop":
        return this.#stop();
      case "full disk":
        return this.#fill();
      case "I/O error":
        return this.#breakDisk();
      case "power cut":
        return this.#cutPower();
    }
  }

  /** One, or all at once. */
  async #kill(): Promise<void> {
    const { length } = this.#slots;
    const struck = this.#random.chance(0.6) ? [this.#slots[this.#random.below(length)] as Slot] : this.#slots;
    for (const slot of struck) slot.kill();
    await Promise.all(struck.map((slot) => slot.ended()));
    await Promise.all(struck.map((slot) => slot.start()));
  }

  /** The servers live on, and find the way back by themselves. */
  async #killDatabase(): Promise<void> {
    this.#isBroken = true;
    await this.#database.kill();
    await sleep(this.#random.between(brokenMs.least, brokenMs.most));
    await this.#database.begin();
    this.#isBroken = false;
  }

  async #killAll(upMs: number): Promise<void> {
    for (const slot of this.#slots) slot.kill();
    await Promise.all(this.#slots.map((slot) => slot.ended()));
    await this.#startAll();
    await sleep(upMs);
  }

  async #stop(): Promise<void> {
    const slot = this.#random.pick(this.#slots);
    slot.freeze();
    await sleep(this.#random.between(stopMs.least, stopMs.most));
    slot.goOn();
  }

  async #fill(): Promise<void> {
    const place = this.#place as SmallDisk;
    const killed = this.#random.chance(0.5) ? this.#random.pick(this.#slots) : undefined;
    this.#isBroken = true;
    place.fill();
    await sleep(this.#random.between(fullMs.least, fullMs.most));
    killed?.kill();
    await killed?.ended();
    place.makeSpace();
    this.#isBroken = false;
    await killed?.start();
  }

  /**
   * The file system goes away under servers: every write and every sync fails from here on, and nothing may be acknowledged. At the moment itself
   * they stand still: a sync that is under way while ext4 shuts down returns success for what is lost (Linux 6.18: in 336 of 565 tries of
   * two writers that did nothing else), and no disk fails like that.
   */
  async #breakDisk(): Promise<void> {
    for (const slot of this.#slots) slot.expectBusError();
    this.#isBroken = true;
    this.#load.diskFails = true;
    for (const slot of this.#slots) slot.freeze();
    await Promise.all(this.#slots.map((slot) => slot.standsStill()));
    await this.#powerOff();
    for (const slot of this.#slots) slot.goOn();
    await sleep(this.#random.between(brokenMs.least, brokenMs.most));
    for (const slot of this.#slots) slot.kill();
    await this.#powerOn();
    this.#load.diskFails = false;
  }

  /** Servers stand still, or are dead, when the file system does: nothing that they would still write helps. */
  async #cutPower(): Promise<void> {
    // What a process wrote and did not sync before it was killed, the next one reads: it must not be lost once it was shown.
    if (this.#random.chance(0.3)) await this.#killAll(this.#random.between(0, 100));
    const freezes = this.#random.chance(0.6);
    for (const slot of this.#slots) if (freezes) slot.freeze();
    if (!freezes) for (const slot of this.#slots) slot.kill();
    this.#isBroken = true;
    if (freezes) {
      this.#database.freeze();
      await this.#database.standsStill();
    } else await this.#database.kill();
    await this.#powerOff();
    for (const slot of this.#slots) slot.kill();
    await this.#database.kill();
    await this.#powerOn();
  }

  async #powerOff(): Promise<void> {
    await this.#surroundings.power?.cut((this.#place as Ext4).mountPoint);
    this.#record({ kind: "power", t: this.#now(), store: "bank" });
  }

  async #powerOn(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.ended()));
    for (const slot of this.#slots) slot.stopped = false;
    await (this.#place as Ext4).mountAgain();
    this.#isBroken = false;
    await this.#startAll();
  }

  async #startAll(): Promise<void> {
    await this.#database.begin();
    await Promise.all(this.#slots.map((slot) => slot.start()));
  }

  /**
   * Waits until every reader has come to where the head is now: as any server knows it, or as all do. A process that owns none
   * of a reader's slots hears of it with half a second's delay.
   */
  async #caughtUp(where: "somewhere" | "everywhere"): Promise<void> {
    const begun = performance.now();
    let target: number | undefined;
    let behind: string[] = ["nobody answers"];
    while (behind.length > 0 && performance.now() - begun < settleWithinMs) {
      const all = (await Promise.all(this.#slots.map(async (slot) => slot.process?.ask("readers")))).filter((each) => each !== undefined);
      if (all.length > 0) target ??= Math.max(...all.flat().map(({ head }) => head));
      if (target !== undefined) behind = behindOf(all, target, where);
      if (behind.length > 0) await sleep(pollMs);
    }
    this.#record({ kind: "settled", t: this.#now(), withinMs: settleWithinMs, behind });
  }

  /** Writes down how far the readers' rows are. */
  async #sample(): Promise<void> {
    const slot = this.#random.pick(this.#slots);
    for (const row of (await slot.process?.ask("slots")) ?? []) this.#record({ kind: "checkpoint", t: this.#now(), store: "bank", ...row });
  }

  async #recordViews(): Promise<void> {
    for (const slot of this.#slots)
      for (const held of (await slot.process?.ask("views")) ?? [])
        this.#record({ kind: "held", t: this.#now(), store: "bank", lineage: 0, ...held });
  }

  #record(record: HistoryRecord): void {
    this.history.push(record);
    if (record.kind === "fail") this.marks.set(`answered ${record.code}`, (this.marks.get(`answered ${record.code}`) ?? 0) + 1);
    if (record.kind === "ok" && record.what === "command" && record.events.length > 0) this.acknowledged++;
  }

  #watchUp(): NodeJS.Timeout {
    let last = performance.now();
    return setInterval(() => {
      const now = performance.now();
      if (!this.#isBroken && this.#slots.some(({ port, stopped }) => port !== undefined && !stopped)) this.upMs += now - last;
      last = now;
    }, 5);
  }

  #now(): number {
    return performance.now() - this.#begun;
  }
}

function behindOf(all: ReadonlyArray<readonly ReaderAt[]>, target: number, where: "somewhere" | "everywhere"): string[] {
  const names = new Map<string, ReaderAt[]>();
  for (const reader of all.flat()) {
    const name = `${reader.name} v${reader.version}`;
    names.set(name, [...(names.get(name) ?? []), reader]);
  }
  return [...names].flatMap(([name, readers]) => {
    const late = readers.filter(({ position }) => position < target);
    if (late.length === 0 || (where === "somewhere" && late.length < readers.length)) return [];
    return late.map(
      ({ state, position, failure }) => `${name} is ${state} at ${position} of ${target}${failure === undefined ? "" : `, ${failure}`}`,
    );
  });
}

function wayOf(random: SeededRandom): Way {
  const kinds: readonly Way[] = [
    { kind: "delay", ms: Math.round(random.between(1, 60)) },
    { kind: "drop replies" },
    { kind: "drop" },
    { kind: "half-open" },
    { kind: "reset" },
  ];
  return random.pick(kinds);
}
