/**
 * Which rows answer the reads of a view. Its own, once they are in their place; while they are built, those of the older
 * version, either kept by a reader of this process (the definition names that version by `replaces`) or as another
 * process left or keeps them. Which it is, each snapshot says itself: a swap in between shows nobody half of each.
 */
import { inPresentHistory } from "../log/epochs.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import type { Checkpoint, CheckpointKey, DefinitionRow, ReadTransaction } from "../log/store.ts";
import { comparePositions, type Position } from "../position/position.ts";
import type { AnyReader } from "../readers/inboxes.ts";
import { rowsPlace } from "../readers/slot-places.ts";
import { SnapshotPlace } from "../readers/snapshot-place.ts";
import type { Claimed, Place, Standing } from "./answers.ts";
import { indexesIn } from "./fingerprint.ts";
import type { Predecessor } from "./predecessors.ts";
import type { Rebuild } from "./rebuild.ts";
import { slotsOf, storedVersion } from "./versions.ts";
import type { AnyView } from "./view.ts";

/** How often rows that another process keeps are looked at while somebody waits for them. */
const lookMs = 25;
/** How long somebody waits for rows of this process before it is asked again which ones answer. */
const turnMs = 100;

/** The older version's rows. */
export interface OlderRows {
  readonly version: number;
  /** Fields by which documents can be found. */
  readonly indexes: readonly string[];
  /** Whether what has no document here has none in the newer version either. */
  readonly isWhole: boolean;
  /** To be taken before a snapshot; says what the snapshot with these checkpoints holds. */
  claim(): (slots: readonly Checkpoint[], key?: string) => Position;
  position(key?: string): Promise<Position>;
  /** Waits a moment, at most `waitMs`; answers whether the position is reached. */
  reached(position: Position, waitMs: number, place: Place): Promise<boolean>;
  /** A stored document as the newer definition shapes it. Throws `CannotAnswer` when it cannot be one. */
  shaped(document: unknown, key: string): Promise<unknown>;
}

/** Rows that a reader of this process keeps by the older definition. */
export function keptRows({ view, shaped }: Predecessor, reader: AnyReader): OlderRows {
  return {
    version: view.version,
    indexes: view.indexes as readonly string[],
    isWhole: true,
    claim: () => reader.claim(),
    position: async (key) => (key === undefined ? reader.position : reader.positionOf(key)),
    reached: (position, waitMs, place) => reader.waitFor(position, Math.min(waitMs, turnMs), place),
    shaped: async (document) => shaped(document),
  };
}

/** Rows of a version of which this process knows only what is stored. */
export function storedRows(definition: AnyView, row: DefinitionRow, log: Log): OlderRows {
  const position = async (key?: string): Promise<Position> => rowsPlace(await log.snapshot((tx) => slotsOf(tx, log.store, row)), key);
  return {
    version: row.version,
    indexes: indexesIn(row),
    isWhole: false,
    claim: () => rowsPlace,
    position,
    reached: async (wanted, waitMs, { key }) => {
      if (comparePositions(await position(key), wanted) >= 0) return true;
      await log.host.timers.sleep(Math.max(0, Math.min(waitMs, lookMs)));
      return false;
    },
    shaped: async (document, key) => {
      try {
        return (await validated(definition.document, document, `the document "${key}" of version ${row.version}`)) as unknown;
      } catch (cause) {
        throw new CannotAnswer(cause instanceof Error ? cause.message : String(cause), { cause });
      }
    },
  };
}

/** A question that the older version's rows cannot answer. */
export class CannotAnswer extends Error {}

export interface StandingOptions {
  readonly definition: AnyView;
  readonly log: Log;
  readonly reader: () => AnyReader;
  readonly rebuild: Rebuild;
  /** Whether the view is folded inside appends by now. */
  readonly strong: () => boolean;
}

export function standingOf({ definition, log, reader: readerOf, rebuild, strong }: StandingOptions): Standing {
  const { name, version } = definition;
  const elapsed = (): number => log.host.clock.elapsed();
  const isReached = (position: Position, { key }: Place): boolean =>
    comparePositions(key === undefined ? readerOf().position : readerOf().positionOf(key), position) >= 0;
  const slots = (tx: ReadTransaction, of: number): Promise<Checkpoint[]> => slotsOf(tx, log.store, { name, version: of });
  const place = new SnapshotPlace(readerOf);
  return {
    position: async (key) => {
      if (strong()) return undefined;
      return rebuild.older ? rebuild.older.position(key) : key === undefined ? readerOf().position : readerOf().positionOf(key);
    },
    waitFor: async (position, waitMs, place) => {
      if (strong()) return true;
      const deadline = elapsed() + waitMs;
      // R4: what is parked is not waited for; what is tried again is. Asked only when there would be a wait.
      const parkedBefore = async (): Promise<boolean> => {
        const { key } = place;
        if (key === undefined) return false;
        const parked = await log.snapshot((tx) =>
          parkedIn(tx, { reader: name, version: rebuild.older?.version ?? version, source: log.store }, key),
        );
        return typeof parked === "object" && parked.state === "parked" && comparePositions(parked.position, position) <= 0;
      };
      for (;;) {
        const older = rebuild.older;
        if (!older && isReached(position, place)) return true;
        if (await parkedBefore()) return false;
        if (!older) return readerOf().waitFor(position, deadline - elapsed(), place);
        if (await older.reached(position, deadline - elapsed(), place)) return true;
        if (elapsed() >= deadline || place.signal?.aborted || rebuild.stopped) return false;
        await log.host.timers.turn(); // a reader that is being stopped answers at once, and stops only if others get their turn
      }
    },
    claim: () => {
      const reader = readerOf();
      const own = reader.claim();
      const known = rebuild.older;
      const olderClaim = known?.claim();
      return async (tx, key) => {
        const older = await rebuild.olderIn(tx);
        if (older) {
          const position = (older === known && olderClaim ? olderClaim : older.claim())(await slots(tx, older.version), key);
          return { position, parked: await parkedIn(tx, { reader: name, version: older.version, source: log.store }, key) };
        }
        // A newer release may have taken the appends over: whether they fold this view still, the store says.
        if (strong() && (await storedVersion(tx, name, version))?.kind === "strong-view") return { position: (await tx.head()).position };
        return { position: own(await slots(tx, version), key), parked: await parkedIn(tx, reader.checkpointKey, key) };
      };
    },
    elsewhere: () => {
      const reader = readerOf();
      // A strong view answers as of now. And what was found wrong with the rows is the store's own to say.
      if (definition.consistency === "strong" || rebuild.older || reader.state === "stuck") return undefined;
      return async (tx, key) => {
        if (await rebuild.olderIn(tx)) return undefined;
        const [row, rows, epochs, head, parked] = await Promise.all([
          storedVersion(tx, name, version),
          slots(tx, version),
          tx.epochs(),
          tx.head(),
          parkedIn(tx, reader.checkpointKey, key),
        ]);
        const isAnswering = row?.kind === "view" && (row.state === "active" || row.state === "retired");
        const epoch = epochs.at(-1);
        if (!isAnswering || !epoch || !rows.every((each) => inPresentHistory(epochs, each.epoch, each.position))) return undefined;
        return { position: await place.of(tx, { rows, epoch: epoch.id, head: head.position, key }), parked, head };
      };
    },
  };
}

/** The first event of an order key that a version has set aside, or how many order keys it has set aside. */
async function parkedIn(tx: ReadTransaction, of: CheckpointKey, key: string | undefined): Promise<Claimed["parked"]> {
  if (key === undefined) return (await tx.parking.count(of)).keys || undefined;
  const [first] = await tx.parking.events(of, key, 1);
  if (!first) return undefined;
  const { position, error, attempts } = first;
  return { position, state: first.state === "parked" ? "parked" : "retrying", error, attempts };
}
