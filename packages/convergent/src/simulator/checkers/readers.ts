/**
 * R1 and R5: a committed checkpoint goes forward and never past the log, and when everything is healed every reader comes to head.
 * A power cut may take back what was committed as derived, together with everything after it: never a checkpoint that was
 * seen before an append began which was acknowledged.
 */
import type { Checkpointed, HistoryRecord, SlotOfReader, Violation } from "../history.ts";

export function checkReaders(history: Iterable<HistoryRecord>, storeOf: (name: string) => string | undefined): Violation[] {
  const found: Violation[] = [];
  const rows = new Rows(storeOf);
  for (const record of history) {
    rows.note(record);
    if (record.kind === "checkpoint") {
      const { position, t } = record;
      const before = rows.saw(record);
      if (position < before && position !== 0)
        found.push({ checker: "readers", message: `${slotName(record)} went back from ${before} to ${position} at ${Math.round(t)} ms` });
    } else if (record.kind === "settled")
      for (const message of record.behind)
        found.push({ checker: "liveness", message: `${record.withinMs} ms after everything was healed: ${message}` });
  }
  return found;
}

/** Rows of one slot that were seen since the last power cut, oldest first. */
interface Slot {
  readonly store: string;
  seen: Array<{ readonly position: number; readonly index: number }>;
}

class Rows {
  readonly #storeOf: (name: string) => string | undefined;
  readonly #slots = new Map<string, Slot>();
  readonly #begun = new Map<number, { readonly store: string; readonly index: number }>();
  /** Of each store: what was seen before this record is on its disk. */
  readonly #synced = new Map<string, number>();
  #index = 0;

  constructor(storeOf: (name: string) => string | undefined) {
    this.#storeOf = storeOf;
  }

  note(record: HistoryRecord): void {
    this.#index++;
    if (record.kind === "lineage") this.#slots.clear();
    else if (record.kind === "power") this.#cut(record.store);
    else if (record.kind === "invoke" && record.what === "command")
      this.#begun.set(record.op, { store: this.#storeOf(record.name) ?? "", index: this.#index });
    else if (record.kind === "ok" && record.what === "command") {
      const begun = this.#begun.get(record.op);
      this.#begun.delete(record.op);
      if (!begun || record.repeated || record.events.length === 0) return; // nothing was appended for this answer
      this.#synced.set(begun.store, Math.max(begun.index, this.#synced.get(begun.store) ?? 0));
    }
  }

  /** Adds a row, and says which one it follows. */
  saw(row: Checkpointed): number {
    const name = slotName(row);
    const slot = this.#slots.get(name) ?? { store: row.store, seen: [] };
    this.#slots.set(name, slot);
    const before = slot.seen.at(-1)?.position ?? 0;
    slot.seen.push({ position: row.position, index: this.#index });
    return before;
  }

  #cut(store: string): void {
    const synced = this.#synced.get(store) ?? 0;
    for (const slot of this.#slots.values()) {
      if (slot.store !== store) continue;
      const kept = slot.seen.findLast(({ index }) => index < synced);
      slot.seen = kept ? [kept] : [];
    }
  }
}

/** A slot of a reader, as messages name it. */
export function slotName({ store, reader, version, slot, source }: SlotOfReader): string {
  return `${store}: ${reader} v${version}, slot ${slot} of ${source}`;
}
