/**
 * The exchange of foreign token entries. A service that follows another log keeps, with its checkpoint, the position
 * of its own log that the effects had reached. So "have you seen position 70 of orders?" becomes a question about
 * positions of this store: the reader has passed 70, and by then its effects had reached, say, 112 here.
 */
import type { CancelSignal, Host } from "../host/host.ts";
import { inPresentHistory } from "../log/epochs.ts";
import { horizonMs } from "../log/token-issuer.ts";
import { comparePositions, laterPosition, origin, type Position } from "../position/position.ts";
import type { TokenEntry } from "../position/token.ts";
import type { Reader } from "./reader.ts";

/** What foreign entries come to. */
export interface Exchanged {
  /** This store's own position that covers every entry that was met. */
  readonly position: Position;
  /** Stores whose entry no reader of this service had passed in time. */
  readonly unmet: readonly string[];
  /** Stores of which this service reads nothing, directly or through others: neither fresh nor waited for. */
  readonly unchecked: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: readers of any item
// oxlint-disable-next-line typescript/no-explicit-any -- an inbox reader is asked for positions only, whatever it applies
export type AnyReader = Reader<any>;

/** A reader by which an entry may be covered, and how far of it that has come. */
interface Route {
  readonly reader: AnyReader;
  readonly passed: () => Position;
  readonly isDirect: boolean;
}

export class Inboxes {
  readonly #host: Host;
  readonly #readers: AnyReader[] = [];

  constructor(host: Host) {
    this.#host = host;
  }

  add(reader: AnyReader): void {
    this.#readers.push(reader);
  }

  /** Waits, until `deadline` on the host's elapsed clock, for each entry to be covered here. */
  async exchange(entries: readonly TokenEntry[], deadline: number, signal?: CancelSignal): Promise<Exchanged> {
    const unmet: string[] = [];
    const unchecked: string[] = [];
    let position = origin;
    for (const entry of entries) {
      const routes = this.#routes(entry);
      if (routes.length === 0 && entry.time >= this.#host.clock.now() - horizonMs) unchecked.push(entry.store);
      for (const route of routes) {
        const met = await this.#passes(route, entry, deadline - this.#host.clock.elapsed(), signal);
        if (met) position = laterPosition(position, route.reader.reach.reached);
        else if (!unmet.includes(entry.store)) unmet.push(entry.store);
      }
    }
    return { position, unmet, unchecked };
  }

  // R4: of events that are set aside the effects are missing, and they are not waited for. Which events of a log in between
  // belong to an entry nobody knows, so there any of them may.
  async #passes({ reader, passed, isDirect }: Route, entry: TokenEntry, waitMs: number, signal?: CancelSignal): Promise<boolean> {
    const lacks = async (): Promise<boolean> => {
      const aside = await reader.firstAside();
      return aside !== undefined && (!isDirect || comparePositions(aside, entry.position) <= 0);
    };
    if (await lacks()) return false;
    return (await reader.waitUntil(() => comparePositions(passed(), entry.position) >= 0, waitMs, signal)) && !(await lacks());
  }

  // Directly when a reader follows that very log; otherwise through readers whose source had seen it.
  #routes(entry: TokenEntry): Route[] {
    const direct = this.#readers.filter(
      ({ source }) => source.store === entry.store && inPresentHistory(source.epochs, entry.epoch, entry.position),
    );
    if (direct.length > 0) return direct.map((reader) => ({ reader, passed: () => reader.position, isDirect: true }));
    const seenBy = (reader: AnyReader): Position | undefined => {
      const seen = reader.reach.seen[entry.store];
      return seen?.epoch === entry.epoch ? (seen.position as Position) : undefined;
    };
    return this.#readers
      .filter((reader) => reader.follows(entry.store, entry.epoch))
      .map((reader) => ({ reader, passed: () => seenBy(reader) ?? origin, isDirect: false }));
  }
}
