/**
 * What is done in a run, by seed: rounds with one fault each, in chapters. A chapter is a store of its own from its creation to
 * its judgement, so that histories stay as small as a checker and a reader can take.
 */
import { SeededRandom } from "convergent/simulator";
import type { PlaceKind } from "./places.ts";
import type { StoreName } from "./stores.ts";

export type Fault = "kill" | "database kill" | "cut of connections" | "stop" | "full disk" | "I/O error" | "power cut";

export const faults: readonly Fault[] = ["kill", "database kill", "cut of connections", "stop", "full disk", "I/O error", "power cut"];

/** Where each is made. */
export const placeOf: Readonly<Record<Fault, PlaceKind>> = {
  kill: "folder",
  "database kill": "folder",
  "cut of connections": "folder",
  stop: "folder",
  "full disk": "small disk",
  "I/O error": "ext4",
  "power cut": "ext4",
};

export type Counts = Readonly<Record<Fault, number>>;

export interface Chapter {
  readonly number: number;
  readonly place: PlaceKind;
  readonly rounds: readonly Fault[];
}

/** A kind of fault that cannot be made here. */
export interface Skipped {
  readonly fault: Fault;
  readonly rounds: number;
  readonly why: string;
}

/** Rounds of a chapter; a stop takes as long as a lease holds, and a chapter has few of them. Cuts of connections count for a part of one. */
const roundsMax = 24;

/** So many cuts take the time of one other round, and write as much history: nobody has to begin again after them. */
const cutsPerRound = 4;

/** So many cuts may follow each other before readers have to come to the head. */
export const cutsInARowMax = 8;

/** How many of the other faults go with so many kills and power cuts, unless they are named. */
export function countsOf(store: StoreName, { kills, powerCuts, ...named }: { kills: number; powerCuts: number } & Partial<Others>): Counts {
  // A file has no server that could die by itself. A full or failing disk under PostgreSQL is a matter of its own, and not tried here.
  const isFile = store === "sqlite";
  return {
    kill: kills,
    "database kill": named.databaseKills ?? (isFile ? 0 : Math.ceil(kills / 2)),
    "cut of connections": named.cuts ?? (isFile ? 0 : kills),
    stop: named.stops ?? Math.ceil(kills / 25),
    "full disk": named.fullDisks ?? (isFile ? Math.ceil(kills / 20) : 0),
    "I/O error": named.ioErrors ?? (isFile ? Math.ceil(powerCuts / 10) : 0),
    "power cut": powerCuts,
  };
}

interface Others {
  readonly databaseKills: number | undefined;
  readonly cuts: number | undefined;
  readonly stops: number | undefined;
  readonly fullDisks: number | undefined;
  readonly ioErrors: number | undefined;
}

/** What of it can be made here. */
export function possible(
  wanted: Counts,
  obstacle: (place: PlaceKind) => string | undefined,
): { counts: Counts; skipped: readonly Skipped[] } {
  const asked = [...new Set(faults.filter((fault) => wanted[fault] > 0).map((fault) => placeOf[fault]))];
  const obstacles = new Map(asked.map((place) => [place, obstacle(place)]));
  const skipped = faults.flatMap((fault) => {
    const why = obstacles.get(placeOf[fault]);
    return why === undefined || wanted[fault] === 0 ? [] : [{ fault, rounds: wanted[fault], why }];
  });
  return { counts: { ...wanted, ...Object.fromEntries(skipped.map(({ fault }) => [fault, 0])) }, skipped };
}

export function planOf(counts: Counts, seed: number): Chapter[] {
  const random = new SeededRandom(seed, "plan");
  const chapters: Array<Omit<Chapter, "number">> = [];
  for (const place of ["folder", "ext4", "small disk"] as const) {
    const rows = faults.flatMap((fault) => (placeOf[fault] === place ? rowsOf(fault, counts[fault], random) : []));
    const rounds = shuffled(rows, random).flat();
    for (const part of parted(rounds)) chapters.push({ place, rounds: part });
  }
  return shuffled(chapters, random).map((chapter, index) => ({ number: index + 1, ...chapter }));
}

/** Cuts of connections come in rows, other faults alone. */
function rowsOf(fault: Fault, count: number, random: SeededRandom): Fault[][] {
  const rows: Fault[][] = [];
  for (let left = count; left > 0; left -= rows.at(-1)?.length ?? 0) {
    const most = fault === "cut of connections" ? Math.min(left, cutsInARowMax) : 1;
    rows.push(Array.from({ length: 1 + random.below(most) }, () => fault));
  }
  return rows;
}

/** In as few parts as there may be, of about the same size. */
function parted(rounds: readonly Fault[]): Fault[][] {
  const total = rounds.reduce((sum, fault) => sum + sizeOf(fault), 0);
  const count = Math.ceil(total / roundsMax);
  const parts: Fault[][] = Array.from({ length: count }, () => []);
  let done = 0;
  for (const fault of rounds) {
    const part = Math.floor(((done + sizeOf(fault) / 2) * count) / total);
    parts[part]?.push(fault);
    done += sizeOf(fault);
  }
  return parts;
}

function sizeOf(fault: Fault): number {
  return fault === "cut of connections" ? 1 / cutsPerRound : 1;
}

function shuffled<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as Item);
}
