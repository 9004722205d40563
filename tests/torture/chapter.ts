/**
 * One chapter: a store from its creation to its judgement. Two servers on it, load all the time, a fault a round, and after
 * each the servers that died are begun again and every reader has to come to where the head was.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type HistoryRecord, SeededRandom, type Violation } from "convergent/simulator";
import { judge, type Judgement } from "./judge.ts";
import { Load } from "./load.ts";
import { Ext4, Folder, type Place, SmallDisk } from "./places.ts";
import { type Chapter, cutsInARowMax, type Fault } from "./plan.ts";
import type { Power } from "./power.ts";
import { Slot, type Spares, StartFailure } from "./servers.ts";
import type { Answers, ReaderAt } from "./server.ts";
import { type Database, databaseAt, type StoreName } from "./stores.ts";
import type { Way } from "./tcp-proxy.ts";

export interface Surroundings {
  readonly store: StoreName;
  /** What its database begins as. */
  readonly template: string;
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

/** Load between two faults, at least: the next one waits for the readers, too. Between two cuts of connections no server is cold, and less will do. */
const calmMs = { least: 100, most: 600 };
const calmBetweenCutsMs = { least: 10, most: 150 };
/** The time that a fault of the network lasts. */
const troubledMs = { least: 100, most: 400 };
const troubledBetweenCutsMs = { least: 20, most: 150 };
/** Members are taken for gone when their beat stood still for 6 s: stops last less and more than that. */
const stopMs = { least: 4_000, most: 9_500 };
const fullMs = { least: 400, most: 1_500 };
const brokenMs = { least: 20, most: 300 };

/** Within this time every reader must be where the head was when the servers were up again. */
const settleWithinMs = 60_000;
const pollMs = 20;
/** The servers' views are written down every so many times that readers came to the head. */
const viewsEvery = 6;
/** A cut of connections waits for one that is in use: from now and then on the network is not in the way, and in the end something is wrong. */
const networkInTheWayMs = 500;
const nothingInUseMs = 20_000;
const cutPollMs = 5;
/** In so many rounds clients go through proxies. */
const proxiedShare = 0.3;

const serversCount = 2;

export class ChapterRun {
  readonly history: HistoryRecord[] = [];
  readonly marks = new Map<string, number>();
  acknowledged = 0;
  roundsDone = 0;
  readonly #chapter: Chapter;
  readonly #surroundings: Surroundings;
  readonly #random: SeededRandom;
  /** For what is looked at while the next fault comes. */
  readonly #lookAt: SeededRandom;
  readonly #begun = performance.now();
  readonly #complaints: Violation[] = [];
  readonly #place: Folder | SmallDisk | Ext4;
  readonly #database: Database;
  readonly #slots: readonly Slot[];
  readonly #load: Load;
  #isBroken = false;
  /** No load is made any more. */
  #isOver = false;
  #timesSettled = 0;

  constructor(chapter: Chapter, surroundings: Surroundings) {
    this.#chapter = chapter;
    this.#surroundings = surroundings;
    this.#random = new SeededRandom(surroundings.seed, `chapter ${chapter.number}`);
    this.#lookAt = new SeededRandom(surroundings.seed, `looks at chapter ${chapter.number}`);
    this.#place = chapter.place === "folder" ? Folder.make() : chapter.place === "ext4" ? Ext4.make() : SmallDisk.make();
    surroundings.places.add(this.#place);
    this.#database = databaseAt(surroundings.store, this.#place.path, surroundings.template);
    surroundings.databases.add(this.#database);
    const complain = (message: string): void => this.#complain(message);
    const mark = (name: string): void => this.#mark(name);
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

  /** At least one server serves, and its disk works and has space. */
  get isUp(): boolean {
    return !this.#isOver && !this.#isBroken && this.#slots.some(({ port, stopped }) => port !== undefined && !stopped);
  }

  /** Runs it to its end and says what was found. */
  async run(): Promise<Judgement> {
    this.#record({ kind: "lineage", t: 0, store: "bank", lineage: 0, kept: 0 });
    try {
      await this.#startAll();
      this.#load.begin();
      await this.#rounds();
      await this.#load.end();
      this.#isOver = true;
      await this.#caughtUp("everywhere");
      await this.#recordViews();
      for (const slot of this.#slots) await slot.stop();
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      this.#complaints.push({ checker: "liveness", message: `a server did not start: ${error.message}` });
      for (const slot of this.#slots) slot.kill();
      await this.#load.end();
    }
    await Promise.all(this.#slots.map((slot) => slot.ended()));
    const judgement = await judge(this.history, this.#database.at, { complaints: this.#complaints, now: () => this.#now() });
    await this.#database.stop();
    this.#surroundings.databases.delete(this.#database);
    this.#place.remove();
    this.#surroundings.places.delete(this.#place);
    return judgement;
  }

  /** While readers come to where the head was after a fault, clients go on; the next fault waits for both. */
  async #rounds(): Promise<void> {
    const { rounds } = this.#chapter;
    let settled = Promise.resolve();
    let cutsInARow = 0;
    for (const [index, fault] of rounds.entries()) {
      await Promise.all([settled, this.#loadBefore(fault, rounds[index - 1])]);
      await this.#sample();
      await this.#strike(fault);
      await this.#load.straight();
      cutsInARow = fault === "cut of connections" ? cutsInARow + 1 : 0;
      // Whoever has come to the head after the last of some cuts has come past where it was after the others.
      const cutsGoOn = fault === "cut of connections" && rounds[index + 1] === fault && cutsInARow < cutsInARowMax;
      if (!cutsGoOn) {
        cutsInARow = 0;
        settled = this.#settle();
      }
      this.roundsDone++;
      this.#surroundings.done(fault);
    }
    await settled;
  }

  async #loadBefore(fault: Fault, before: Fault | undefined): Promise<void> {
    const random = this.#random;
    const isBetweenCuts = fault === "cut of connections" && before === fault;
    if (random.chance(proxiedShare)) {
      const { least, most } = isBetweenCuts ? troubledBetweenCutsMs : troubledMs;
      await this.#load.through(wayOf(random));
      await sleep(random.between(least, most));
      if (random.chance(0.5)) await this.#load.straight(); // else the fault comes on top of it
    }
    const { least, most } = isBetweenCuts ? calmBetweenCutsMs : calmMs;
    await sleep(random.between(least, most));
  }

  async #settle(): Promise<void> {
    await this.#caughtUp("somewhere");
    await this.#sample();
    if (++this.#timesSettled % viewsEvery === 0) await this.#recordViews();
  }

  async #strike(fault: Fault): Promise<void> {
    this.#record({ kind: "fault", t: this.#now(), fault });
    switch (fault) {
      case "kill":
        return this.#kill();
      case "database kill":
        return this.#killDatabase();
      case "cut of connections":
        return this.#cutConnections();
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

  /** One that ends nothing that is in use is none. */
  async #cutConnections(): Promise<void> {
    const begun = performance.now();
    while (performance.now() - begun < nothingInUseMs) {
      const { ended, inUse } = await this.#database.cutConnections();
      if (inUse > 0) {
        this.#mark("connections cut", ended);
        this.#mark("connections cut in use", inUse);
        return;
      }
      if (performance.now() - begun > networkInTheWayMs) await this.#load.straight();
      await sleep(cutPollMs);
    }
    this.#complain(`no server had a connection in use for ${nothingInUseMs / 1000} s`);
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
      target ??= maxOf(await this.#ask("head"));
      if (target !== undefined) {
        const all = await this.#ask("readers");
        const least = where === "everywhere" ? this.#slots.length : 1;
        behind = all.length < least ? [`${all.length} of ${this.#slots.length} servers answer`] : behindOf(all, target, where);
      }
      if (behind.length > 0) await sleep(pollMs);
    }
    this.#record({ kind: "settled", t: this.#now(), withinMs: settleWithinMs, behind });
  }

  /** The answers of those that answer. */
  async #ask<What extends keyof Answers>(what: What): Promise<Array<Answers[What]>> {
    const all = await Promise.all(this.#slots.map(async (slot) => slot.process?.ask(what)));
    return all.filter((each) => each !== undefined);
  }

  /** Writes down how far the readers' rows are. */
  async #sample(): Promise<void> {
    const slot = this.#lookAt.pick(this.#slots);
    for (const row of (await slot.process?.ask("slots")) ?? []) this.#record({ kind: "checkpoint", t: this.#now(), store: "bank", ...row });
  }

  async #recordViews(): Promise<void> {
    for (const slot of this.#slots)
      for (const held of (await slot.process?.ask("views")) ?? [])
        this.#record({ kind: "held", t: this.#now(), store: "bank", lineage: 0, ...held });
  }

  #complain(message: string): void {
    this.#complaints.push({ checker: "complaints", message: `at ${Math.round(this.#now())} ms ${message}` });
  }

  #mark(name: string, count = 1): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + count);
  }

  #record(record: HistoryRecord): void {
    this.history.push(record);
    if (record.kind === "fail") this.#mark(`answered ${record.code}`);
    if (record.kind === "ok" && record.what === "command" && record.events.length > 0) this.acknowledged++;
  }

  #now(): number {
    return performance.now() - this.#begun;
  }
}

function maxOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values);
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
