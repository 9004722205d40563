/** The lines of an export that say what is kept of readers, one row each; and what must hold between them. */
import type { Forgetting } from "../log/history-rows.ts";
import type { Discard, ParkedEvent, ParkedRequest, ParkedState } from "../log/reader-rows.ts";
import type { Checkpoint, CheckpointKey } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import { type Fields, json, object, string, text, whole } from "./fields.ts";
import type { Kept } from "./kept.ts";

export const keptKinds = ["checkpoint", "parked", "discard", "forgetting"] as const;
export type KeptKind = (typeof keptKinds)[number];

/** One row. */
export type KeptRow =
  | { readonly kind: "checkpoint"; readonly row: Checkpoint }
  | { readonly kind: "parked"; readonly row: ParkedEvent }
  | { readonly kind: "discard"; readonly row: Discard }
  | { readonly kind: "forgetting"; readonly row: Forgetting };

export function isKeptKind(text: string): text is KeptKind {
  return (keptKinds as readonly string[]).includes(text);
}

/** In the order in which they are read: the slots of a reader one after the other, before what it has set aside. */
export function* rowsOf({ checkpoints, parked, discards, forgettings }: Kept): Generator<KeptRow> {
  const readers = Map.groupBy(checkpoints, nameOf);
  for (const slots of readers.values()) for (const row of slots.toSorted((a, b) => a.slot - b.slot)) yield { kind: "checkpoint", row };
  for (const row of parked) yield { kind: "parked", row };
  for (const row of discards) yield { kind: "discard", row };
  for (const row of forgettings) yield { kind: "forgetting", row };
}

/** What tells a row from all others of an export. */
export function idOfRow({ kind, row }: KeptRow): string {
  switch (kind) {
    case "checkpoint":
      return `checkpoint-${nameOf(row)} ${row.slot}`;
    case "parked":
      return `parked-${nameOf(row)} ${row.position}`;
    case "discard":
      return `discard-${row.reader} ${row.source} ${row.eventId}`;
    case "forgetting":
      return `forgetting-${row.person}`;
  }
}

/** Reads a row. Throws an `Error` whose message says what is wrong with it. */
export function readKept(kind: KeptKind, fields: Fields): KeptRow {
  switch (kind) {
    case "checkpoint":
      return { kind, row: checkpointOf(fields) };
    case "parked":
      return { kind, row: parkedOf(fields) };
    case "discard":
      return { kind, row: discardOf(fields) };
    case "forgetting":
      return { kind, row: { person: string(fields, "person"), reason: text(fields, "reason"), actor: text(fields, "actor") } };
  }
}

function keyOf(fields: Fields): CheckpointKey {
  return { reader: string(fields, "reader"), version: whole(fields, "version"), source: string(fields, "source") };
}

function checkpointOf(fields: Fields): Checkpoint {
  return {
    ...keyOf(fields),
    slot: whole(fields, "slot"),
    epoch: string(fields, "epoch"),
    position: whole(fields, "position") as Position,
    reached: whole(fields, "reached") as Position,
    seen: json(fields, "seen"),
    check: text(fields, "check"),
  };
}

const states: readonly ParkedState[] = ["waiting", "retrying", "parked"];

function parkedOf(fields: Fields): ParkedEvent {
  const state = states.find((known) => known === fields["state"]);
  if (!state) throw new Error(`state is none of ${states.join(", ")}`);
  return {
    ...keyOf(fields),
    slot: whole(fields, "slot"),
    key: text(fields, "key"),
    position: whole(fields, "position") as Position,
    eventId: string(fields, "eventId"),
    type: string(fields, "type"),
    state,
    error: text(fields, "error"),
    attempts: whole(fields, "attempts"),
    since: whole(fields, "since"),
    ...(fields["request"] === undefined ? {} : { request: requestOf(object(fields, "request")) }),
  };
}

function requestOf(fields: Fields): ParkedRequest {
  const { kind } = fields;
  if (kind !== "replay" && kind !== "discard") throw new Error("the kind of its request is neither replay nor discard");
  return { kind, reason: text(fields, "reason"), by: text(fields, "by"), at: whole(fields, "at") };
}

function discardOf(fields: Fields): Discard {
  return {
    reader: string(fields, "reader"),
    source: string(fields, "source"),
    eventId: string(fields, "eventId"),
    position: whole(fields, "position") as Position,
    type: string(fields, "type"),
    key: text(fields, "key"),
    error: text(fields, "error"),
    reason: text(fields, "reason"),
    by: text(fields, "by"),
    at: whole(fields, "at"),
  };
}

/** The log that an import has taken in. */
export interface TakenLog {
  readonly store: string;
  readonly epochs: ReadonlyArray<{ readonly id: string }>;
  readonly last: number;
}

/** Takes rows in, line by line. */
export class KeptRows implements Kept {
  readonly checkpoints: Checkpoint[] = [];
  readonly parked: ParkedEvent[] = [];
  readonly discards: Discard[] = [];
  readonly forgettings: Forgetting[] = [];
  readonly #slots = new Map<string, number>();
  count = 0;

  /** How many readers there are. */
  get readers(): number {
    return this.#slots.size;
  }

  /** Says what is wrong with a row, if something is. */
  add({ kind, row }: KeptRow, log: TakenLog): string | undefined {
    this.count++;
    switch (kind) {
      case "checkpoint":
        this.checkpoints.push(row);
        return this.#wrongSlot(row) ?? wrongPlace(row, log);
      case "parked":
        this.parked.push(row);
        return row.slot < (this.#slots.get(nameOf(row)) ?? 0) ? undefined : `the reader ${row.reader} has no slot ${row.slot}`;
      case "discard":
        this.discards.push(row);
        return undefined;
      case "forgetting":
        this.forgettings.push(row);
        return undefined;
    }
  }

  #wrongSlot(row: Checkpoint): string | undefined {
    const slots = this.#slots.get(nameOf(row)) ?? 0;
    this.#slots.set(nameOf(row), Math.max(slots, row.slot + 1));
    return row.slot === slots ? undefined : `slot ${row.slot} of the reader ${row.reader} comes where slot ${slots} is to come`;
  }
}

// A reader further than the log would skip what is appended from now on.
function wrongPlace({ reader, source, epoch, position, reached }: Checkpoint, log: TakenLog): string | undefined {
  if (reached > log.last) return `the effects of the reader ${reader} had reached position ${reached}, and the log ends at ${log.last}`;
  if (source !== log.store) return undefined;
  if (position > log.last) return `the reader ${reader} stands at position ${position}, and the log ends at ${log.last}`;
  return log.epochs.some(({ id }) => id === epoch) ? undefined : `the reader ${reader} stands in the epoch ${epoch}, which the log has not`;
}

function nameOf({ reader, version, source }: CheckpointKey): string {
  return `${reader} ${version} ${source}`;
}
