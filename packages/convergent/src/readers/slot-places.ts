/**
 * How far each slot of a reader has come, as this process knows it. A row says what its owner has written; memory says
 * up to where the log holds nothing of interest after that row. So quiet stretches cost no writes, and a process that
 * owns none of the slots can still say how far they are.
 *
 * Invariant: no event of interest of a slot lies in (its row, its place], the place being what `of` answers.
 */
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import { slotOf } from "./slots.ts";

/** Positions remembered of a slot that another process is behind with; past it its place is looked for again. */
const missingMax = 2_000;

interface Slot {
  /** Fence of the lease under which this process owns it. */
  readonly fence: number | undefined;
  /** Position in its row. */
  readonly stored: Position;
  /** Nothing of interest lies between `stored` and here. */
  readonly quiet: Position;
  /** Events of interest that its owner, another process, had not applied yet; in order. Grows in place up to the cursor. */
  readonly missing: Position[];
}

/** One slot as it is written or read. */
export interface SlotRow {
  readonly slot: number;
  readonly position: Position;
}

export class SlotPlaces {
  #slots: Slot[];
  /** A claim has been given these slots: they are not changed any more but replaced. */
  #isClaimed = false;
  #owned: ReadonlyMap<number, number>;
  #cursor: Position;

  /** `fences` are those of the slots that this process owns. */
  constructor(rows: readonly SlotRow[], fences: ReadonlyMap<number, number>) {
    this.#slots = rows.map(({ slot, position }) => ({ fence: fences.get(slot), stored: position, quiet: position, missing: [] }));
    this.#owned = ownedOf(this.#slots);
    this.#cursor = rows.map((row) => row.position).reduce(earlierPosition);
  }

  get count(): number {
    return this.#slots.length;
  }

  /** Whether an order key's slot is this process's. */
  owns(key: string): boolean {
    return this.#owned.has(this.slotOf(key));
  }

  /** The slots that this process owns, as a text that changes with them. */
  get ownedText(): string {
    return [...this.#owned].map(([slot, fence]) => `${slot}:${fence}`).join();
  }

  /** Slots that this process owns, with the fences of their leases. */
  get owned(): ReadonlyMap<number, number> {
    return this.#owned;
  }

  /** How many slots this process owns. */
  get ownedCount(): number {
    return this.#owned.size;
  }

  /** Up to here the log was looked through, for all slots. */
  get cursor(): Position {
    return this.#cursor;
  }

  /** The lowest place of any slot. */
  get lowest(): Position {
    return this.#slots.map((slot) => place(slot, this.#cursor)).reduce(earlierPosition);
  }

  /** The lowest row of the slots that this process owns; undefined when it owns none. */
  get lowestOwnedRow(): Position | undefined {
    const rows = this.#slots.filter(({ fence }) => fence !== undefined).map((slot) => slot.stored);
    return rows.length > 0 ? rows.reduce(earlierPosition) : undefined;
  }

  /** Whether the rows of the slots that this process owns stand at one position. */
  get isEven(): boolean {
    const own = this.#slots.filter(({ fence }) => fence !== undefined);
    return own.every(({ stored }) => stored === own[0]?.stored);
  }

  /** Position in the row of a slot. */
  storedOf(slot: number): Position {
    return (this.#slots[slot] as Slot).stored;
  }

  slotOf(key: string): number {
    return slotOf(key, this.#slots.length);
  }

  /** The place of one order key. */
  of(key: string): Position {
    return place(this.#slots[this.slotOf(key)] as Slot, this.#cursor);
  }

  /** What is to be done with an event of interest: its slot is this process's and has not applied it; or is another's; or has it. */
  standing(slot: number, position: Position): "apply" | "elsewhere" | "done" {
    const known = this.#slots[slot] as Slot;
    if (comparePositions(position, known.stored) <= 0) return "done";
    return known.fence === undefined ? "elsewhere" : "apply";
  }

  /** The log was looked through from `after` to `scanned`; `elsewhere` are events of other processes' slots on the way, in order. */
  pass({ after, scanned }: { readonly after: Position; readonly scanned: Position }, elsewhere: readonly SlotRow[]): void {
    // Since the page was read it was found that the log must be looked through again from further back.
    if (comparePositions(this.#cursor, after) < 0) return;
    for (const { slot, position } of elsewhere) {
      const { missing, quiet } = this.#slots[slot] as Slot;
      const last = missing.at(-1) ?? quiet;
      if (comparePositions(position, last) > 0 && missing.length < missingMax) missing.push(position);
    }
    this.#cursor = laterPosition(this.#cursor, scanned);
  }

  /** Rows that this process has written. */
  wrote(rows: readonly SlotRow[]): void {
    if (this.#isClaimed) this.#slots = [...this.#slots];
    this.#isClaimed = false;
    for (const { slot, position } of rows) {
      const known = this.#slots[slot] as Slot;
      this.#slots[slot] = { ...known, stored: position, quiet: laterPosition(known.quiet, position) };
    }
  }

  /**
   * Takes over rows and ownership. To be called with rows that this process's own writes cannot have outrun. False when a
   * row went back: then nothing that was known of it holds.
   */
  adopt(rows: readonly SlotRow[], fences: ReadonlyMap<number, number>): boolean {
    return this.#update(rows, (slot) => fences.get(slot));
  }

  /** Takes over rows that other processes move; the own ones stay as this process knows them. False as for `adopt`. */
  observe(rows: readonly SlotRow[]): boolean {
    const known = this.#slots;
    const others = rows.map(({ slot, position }) => ({ slot, position: known[slot]?.fence === undefined ? position : known[slot].stored }));
    return this.#update(others, (slot) => (known[slot] as Slot).fence);
  }

  #update(rows: readonly SlotRow[], fenceOf: (slot: number) => number | undefined): boolean {
    if (rows.length !== this.#slots.length) return false;
    if (rows.some(({ slot, position }) => comparePositions(position, (this.#slots[slot] as Slot).stored) < 0)) return false;
    const cursor = this.#cursor;
    let next = cursor;
    this.#slots = this.#slots.map((known, slot) => {
      const stored = (rows[slot] as SlotRow).position;
      const left = known.missing.filter((position) => comparePositions(position, stored) > 0);
      // Of a full list it is not known what follows its last: it takes no more until all of it is applied.
      const missing = known.missing.length >= missingMax && left.length > 0 ? known.missing : left;
      const quiet = place({ ...known, stored }, cursor);
      const fence = fenceOf(slot);
      // What its owner had not applied is this process's to apply now; and what did not fit is looked for again.
      const again = fence === undefined ? known.missing.length >= missingMax && missing.length === 0 : true;
      if (again) next = earlierPosition(next, quiet);
      return { fence, stored, quiet, missing: fence === undefined ? missing : [] };
    });
    this.#owned = ownedOf(this.#slots);
    this.#cursor = next;
    return true;
  }

  /**
   * What a snapshot holds whose rows are read later: to be taken before the snapshot is opened, because only what was
   * known then is sure to be in it.
   */
  claim(): (rows: readonly SlotRow[], key?: string) => Position {
    const slots: readonly Slot[] = this.#slots;
    this.#isClaimed = true;
    const cursor = this.#cursor;
    return (rows, key) => {
      if (rows.length !== slots.length) return rowsPlace(rows, key);
      const wanted = key === undefined ? rows : [rows[slotOf(key, rows.length)] as SlotRow];
      return wanted
        .map(({ slot, position }) => {
          const known = slots[slot] as Slot;
          // A row that went back was reset: what was known of it does not count.
          if (comparePositions(position, known.stored) < 0) return position;
          return place({ ...known, stored: position }, cursor);
        })
        .reduce(earlierPosition);
    };
  }
}

/** What rows say by themselves, for one order key or for all; the origin when there are none. */
export function rowsPlace(rows: readonly SlotRow[], key?: string): Position {
  const only = key === undefined ? undefined : slotOf(key, rows.length);
  const positions = rows.filter(({ slot }) => only === undefined || slot === only).map(({ position }) => position);
  return positions.length > 0 ? positions.reduce(earlierPosition) : origin;
}

function ownedOf(slots: readonly Slot[]): ReadonlyMap<number, number> {
  return new Map(slots.flatMap(({ fence }, slot) => (fence === undefined ? [] : [[slot, fence]])));
}

function place({ fence, stored, quiet, missing }: Slot, cursor: Position): Position {
  const known = laterPosition(stored, quiet);
  if (fence !== undefined) return laterPosition(known, cursor);
  const next = missing.find((position) => comparePositions(position, stored) > 0);
  const end = next === undefined ? (missing.length >= missingMax ? (missing.at(-1) as Position) : cursor) : ((next - 1) as Position);
  return laterPosition(known, earlierPosition(end, cursor));
}
