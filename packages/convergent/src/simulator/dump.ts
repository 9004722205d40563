/** What a store holds, as a history tells it: by the `Store` interface alone, so that any store can be looked into. */
import type { StoredEvent } from "../log/event.ts";
import type { Epoch, IdRecord, ReadTransaction } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import type { ViewHeld } from "./history.ts";

/** A view as one snapshot has it; where and when is its finder's to say. */
export type HeldView = Omit<ViewHeld, "kind" | "t" | "store" | "lineage">;

/** Everything of a log, as one snapshot has it. */
export interface LogDump {
  readonly events: readonly StoredEvent[];
  readonly epochs: readonly Epoch[];
  /** Those of appends; what was voided is left out. */
  readonly ids: readonly IdRecord[];
}

/** All documents of all versions of the views of a store, with how far their slots are. */
export async function heldViews(tx: ReadTransaction): Promise<HeldView[]> {
  const head = (await tx.head()).position;
  const all = await tx.checkpoints();
  const parked = await tx.parking.keys();
  const held: HeldView[] = [];
  for (const { name: view, version, kind, state } of await tx.definitions()) {
    const rows = all.filter((row) => row.reader === view && row.version === version).sort((a, b) => a.slot - b.slot);
    if (kind === "view" && rows.length === 0) continue;
    const page = await tx.find({ view, version, field: undefined, where: [], descending: false, limit: Number.MAX_SAFE_INTEGER });
    held.push({
      view,
      version,
      state,
      head,
      slots: kind === "view" ? rows.map((row) => row.position) : [],
      parked: Object.fromEntries(
        parked.filter((each) => each.reader === view && each.version === version).map((each) => [each.key, each.position]),
      ),
      documents: Object.fromEntries(page.map(({ key, document }) => [key, JSON.parse(document) as unknown])),
    });
  }
  return held;
}

/** The log of a store, its epochs and the ids that it remembers. */
export async function dumpLog(tx: ReadTransaction): Promise<LogDump> {
  const limit = Number.MAX_SAFE_INTEGER;
  const head = await tx.head();
  const events = await tx.events({ after: 0 as Position, upTo: head.position, limit });
  const { records } = await tx.remembered({ state: "done", limit });
  return { events, epochs: await tx.epochs(), ids: records };
}
