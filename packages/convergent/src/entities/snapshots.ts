/**
 * Snapshots of long streams: states written beside the log now and then, so that a stream is folded from the last one on.
 *
 * - A snapshot is derived: it is written after the append, waits for no disk and holds up no command; losing one costs time.
 * - It counts only for the declared snapshot version, and only while the event it was taken at is the one in the stream:
 *   a store that was restored to an earlier state has other events there.
 * - While somebody is being forgotten none of them counts, because some are about to be dropped.
 */
import { ConvergentError } from "../errors/error.ts";
import type { EventCodec } from "../log/codec.ts";
import type { Snapshot } from "../log/history-rows.ts";
import type { Log } from "../log/log.ts";
import type { Schema } from "../log/schema.ts";
import type { ReadTransaction, WriteTransaction } from "../log/store.ts";
import type { StoredEvent } from "../log/event.ts";
import type { AnyEntity } from "./entity.ts";
import type { FoldBounds } from "./folding.ts";
import { lossAt } from "./json-loss.ts";
import type { KnownState } from "./state-cache.ts";

/** Snapshots that wait to be written; one more replaces the oldest, whose stream gets its next one later. */
const waitingMax = 1000;

/** A state that JSON cannot hold, so that no snapshots of its entity are written. */
export interface SnapshotRefused {
  readonly entity: string;
  readonly stream: string;
  /** Where in the state, and what is there. */
  readonly reason: string;
}

export interface SnapshotsOptions {
  readonly codec: EventCodec;
  readonly refused: (refused: SnapshotRefused) => void;
}

export class Snapshots {
  readonly #definition: AnyEntity;
  readonly #log: Log;
  readonly #codec: EventCodec;
  readonly #refused: (refused: SnapshotRefused) => void;
  readonly #waiting = new Map<string, Snapshot & { readonly generation: string | undefined }>();
  #writing: Promise<void> | undefined;
  #open: boolean;

  /** Throws `definition_invalid` when the initial state is none that JSON can hold. */
  constructor(definition: AnyEntity, log: Log, { codec, refused }: SnapshotsOptions) {
    this.#definition = definition;
    this.#log = log;
    this.#codec = codec;
    this.#refused = refused;
    this.#open = definition.snapshot !== undefined;
    if (!this.#open) return;
    const loss = lossAt(definition.initial());
    if (loss)
      throw new ConvergentError("definition_invalid", `the states of ${definition.name} cannot be kept as snapshots: initially, ${loss}`);
  }

  /** The newest snapshot within the bounds that belongs to this history. */
  async base(
    stream: string,
    { upTo, untilMs }: FoldBounds,
    tx: ReadTransaction,
  ): Promise<(KnownState & { last: StoredEvent }) | undefined> {
    const policy = this.#definition.snapshot;
    if (!policy || upTo < policy.every) return undefined;
    if (this.#codec.isPersonal && (await tx.persons.forgettings()).length > 0) return undefined;
    const kept = await tx.snapshots.of(stream, policy.version);
    if (!kept || kept.at > upTo) return undefined;
    const event = await eventOf(kept, tx);
    if (!event || (untilMs !== undefined && event.at > untilMs)) return undefined;
    const state: unknown = JSON.parse(kept.state);
    if (policy.schema && !(await meetsSchema(policy.schema, state))) return undefined;
    return { version: kept.at, state, last: event };
  }

  /** Takes a state for a snapshot when the stream has grown enough since `before`; writes it in the background. */
  offer(event: StoredEvent, { version, state, generation }: KnownState, before: number): void {
    const policy = this.#definition.snapshot;
    if (!this.#open || !policy || Math.floor(version / policy.every) <= Math.floor(before / policy.every)) return;
    const loss = lossAt(state);
    if (loss) {
      this.#open = false;
      this.#refused({ entity: this.#definition.name, stream: event.stream, reason: loss });
      return;
    }
    const { stream, id: eventId } = event;
    this.#waiting.delete(stream);
    this.#waiting.set(stream, { stream, version: policy.version, at: version, eventId, state: JSON.stringify(state), generation });
    if (this.#waiting.size > waitingMax) this.#waiting.delete(this.#waiting.keys().next().value as string);
    this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
  }

  /** Resolves when nothing waits to be written any more. */
  async settled(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      // One turn, so that commands that follow each other closely share a transaction here.
      await this.#log.host.timers.turn();
      const batch = [...this.#waiting.values()];
      this.#waiting.clear();
      try {
        await this.#log.transact(
          async (tx) => {
            // A state that was folded before somebody was forgotten may hold what is to be found nowhere.
            for (const { generation, ...snapshot } of batch) if (generation === this.#codec.generation()) await keep(snapshot, tx);
          },
          { derived: true },
        );
      } catch {
        // The stream is folded from an older state until its next snapshot.
      }
    }
  }
}

// Of two processes the slower one must not put an older state over a newer one; and what was rolled back is no state.
async function keep(snapshot: Snapshot, tx: WriteTransaction): Promise<void> {
  if (!(await eventOf(snapshot, tx))) return;
  const kept = await tx.snapshots.of(snapshot.stream, snapshot.version);
  if (kept && kept.at >= snapshot.at && (await eventOf(kept, tx))) return;
  await tx.snapshots.save(snapshot);
}

/** The event a snapshot was taken at, while it is part of the stream. */
async function eventOf({ stream, at, eventId }: Snapshot, tx: ReadTransaction): Promise<StoredEvent | undefined> {
  const [event] = await tx.streamEvents(stream, { after: at - 1, upTo: at, limit: 1 });
  return event?.id === eventId ? event : undefined;
}

async function meetsSchema(schema: Schema, state: unknown): Promise<boolean> {
  const result = await schema["~standard"].validate(state);
  return result.issues === undefined;
}
