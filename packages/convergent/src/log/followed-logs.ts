/**
 * The logs of other services that this one follows, and what it has seen of them: directly, and through them of further
 * stores. A log vouches for nothing more than the slowest way by which something can reach it.
 */
import { earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import type { LogSource, Seen } from "./source.ts";
import type { CheckpointKey, ReadTransaction } from "./store.ts";

interface SeenPosition {
  readonly epoch: string;
  readonly position: number;
}

export class FollowedLogs {
  readonly #readers: Array<{ readonly key: CheckpointKey; readonly source: LogSource }> = [];

  /** Counts a reader of another log. */
  add(key: CheckpointKey, source: LogSource): void {
    this.#readers.push({ key, source });
  }

  /** What was seen, and the position of this log that held all its effects. */
  async seen(tx: ReadTransaction): Promise<{ at: Position; seen: Seen }> {
    const direct = new Map<string, SeenPosition>();
    const through = new Map<string, SeenPosition>();
    let at = origin;
    for (const { key } of this.#readers) {
      const rows = await tx.checkpoints(key);
      const all = rows.map((row) => JSON.parse(row.seen) as Seen);
      // R4: what is set aside has not come here, nor has what it stands for of logs further away.
      const { first } = await tx.parking.count(key);
      for (const [index, row] of rows.entries()) {
        at = laterPosition(at, row.reached);
        const position = first === undefined ? row.position : earlierPosition(row.position, (first - 1) as Position);
        keepLower(direct, row.source, { epoch: row.epoch, position });
        // A slot that says nothing of a store has seen nothing of it.
        for (const [store, known] of Object.entries(Object.assign({}, ...all) as Seen))
          keepLower(through, store, (first === undefined ? all[index]?.[store] : undefined) ?? { ...known, position: origin });
      }
    }
    // A log that is followed and of which nothing has come yet is seen up to its origin: followers then wait instead of not knowing.
    for (const { source } of this.#readers)
      if (!direct.has(source.store)) direct.set(source.store, { epoch: source.epochs.at(-1)?.id ?? "", position: origin });
    return { at, seen: Object.fromEntries([...through, ...direct]) };
  }
}

// Of several ways by which a store is seen, the one furthest behind decides; the slots of one reader count as ways too.
function keepLower(seen: Map<string, SeenPosition>, store: string, { epoch, position }: SeenPosition): void {
  const known = seen.get(store);
  if (!known || position < known.position) seen.set(store, { epoch, position });
}
