/**
 * A reader made late on purpose, for development: on a laptop every copy follows within milliseconds, and everything looks
 * consistent.
 *
 * - Each event is held back until it is as old as a time drawn for it from the range, and so is everything behind it: the reader
 *   is given the log's beginning, never one with a hole (R1). Its head is the real one, so it says how far behind it is.
 * - One transaction in four is rolled back when it is complete and run again: handlers meet the same events twice, rows do not (R2).
 * - Events of one transaction are applied in another order, across order keys: within a key it is the log's (R1).
 *
 * It stands between the reader and its logs; the reader knows nothing of it.
 */
import { ConvergentError } from "../errors/error.ts";
import { type Duration, durationMs } from "../host/duration.ts";
import type { Host, Random, Timer } from "../host/host.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { LogPage, LogSource } from "../log/source.ts";
import type { Position } from "../position/position.ts";
import type { ReaderOptions } from "./reader-options.ts";
import { type Failed, ItemError } from "./verdict.ts";

/** How late a reader is: always so much, `"500ms"`, or anything between two times, `"300ms..2s"`. */
export type LagRange = Duration | `${Duration}..${Duration}`;

/** A range in milliseconds. */
export interface Lag {
  readonly leastMs: number;
  readonly mostMs: number;
}

/** How many of all transactions are run twice. */
const repeatedShare = 0.25;

/** Parses a range. Throws `invalid_input`, naming the reader it was given for. */
export function parseLag(range: unknown, reader: string): Lag {
  const [least, most = least, ...others] = typeof range === "string" ? range.split("..") : [];
  try {
    const lag = { leastMs: durationMs(least as Duration), mostMs: durationMs(most as Duration) };
    if (others.length === 0 && lag.leastMs <= lag.mostMs) return lag;
  } catch {
    // Said below, for the whole range.
  }
  throw new ConvergentError(
    "invalid_input",
    `the lag of "${reader}" is ${JSON.stringify(range) ?? "undefined"}: write a time, like "500ms", or a range, like "300ms..2s", the shorter time first`,
  );
}

/** What a reader is made of, late when its options say so. `keyOf` gives an item's order key. */
export function late<Item>(options: ReaderOptions<Item>, keyOf: (item: Item) => string): ReaderOptions<Item> {
  const { lag, source, effects, apply } = options;
  if (!lag) return options;
  const { host } = effects;
  const held = new HeldBack(lag, host);
  const log = replacing<Log>(effects, {
    read: (query) => held.read(effects, query),
    follow: (filter, wake) => {
      const route = effects.follow(filter, wake);
      const leave = held.onDue(wake);
      return { ...route, stop: () => [route.stop(), leave()] };
    },
    transact: (body, how) => repeating(effects, host.random, body, how),
  });
  return {
    ...options,
    effects: log,
    source: source === effects ? log : heldBackSource(source, held),
    apply: async (tx, items) => {
      const order = shuffled(items.map(keyOf), host.random);
      const indexOf = (index: number): number => order[index] as number;
      try {
        const failed: readonly Failed[] | void = await apply(
          tx,
          order.map((index) => items[index] as Item),
        );
        return failed?.map(({ index, error }) => ({ index: indexOf(index), error }));
      } catch (error) {
        throw error instanceof ItemError ? new ItemError(indexOf(error.index), error.error) : error;
      }
    },
  };
}

function heldBackSource(source: LogSource, held: HeldBack): LogSource {
  return replacing<LogSource>(source, {
    read: (query) => held.read(source, query),
    onAdvance: (listener) => {
      const unfollow = source.onAdvance(listener);
      const leave = held.onDue(listener);
      return () => {
        unfollow();
        leave();
      };
    },
  });
}

/** What a log holds, each event not before it is due. */
class HeldBack {
  readonly #lag: Lag;
  readonly #host: Host;
  /** When an event that was seen is due, on the clock that never goes back. */
  readonly #due = new Map<Position, number>();
  readonly #wakes = new Set<() => void>();
  #timer: Timer | undefined;

  constructor(lag: Lag, host: Host) {
    this.#lag = lag;
    this.#host = host;
  }

  async read(source: LogSource, query: Parameters<LogSource["read"]>[0]): Promise<LogPage> {
    const page = await source.read(query);
    // Without a filter a single event is read that was set aside: it has been due before.
    if (query.types === undefined) return page;
    for (const position of this.#due.keys()) if (position <= query.after) this.#due.delete(position);
    const now = this.#host.clock.elapsed();
    // Drawn for all of them now: where only its being seen says how old an event is, those behind it grow old together with it.
    const due = page.events.map((event) => this.#dueAt(event));
    const index = due.findIndex((ms) => ms > now);
    const first = page.events[index];
    if (!first) return page;
    this.#wakeIn((due[index] as number) - now);
    return { ...page, events: page.events.slice(0, index), scanned: (first.position - 1) as Position };
  }

  /** Calls `wake` when something has become due. Returns how to stop it. */
  onDue(wake: () => void): () => void {
    this.#wakes.add(wake);
    return () => {
      this.#wakes.delete(wake);
      if (this.#wakes.size === 0) this.#timer?.cancel();
    };
  }

  // By the event's age, so that what lies in the log for long is read at once; by our own clock alone where others' clocks are ahead.
  #dueAt({ position, at }: StoredEvent): number {
    const known = this.#due.get(position);
    if (known !== undefined) return known;
    const { clock, random } = this.#host;
    const { leastMs, mostMs } = this.#lag;
    const lagMs = leastMs + random.fraction() * (mostMs - leastMs);
    const due = clock.elapsed() + lagMs - Math.max(0, clock.now() - at);
    this.#due.set(position, due);
    return due;
  }

  #wakeIn(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#host.timers.after(Math.ceil(ms), () => {
      for (const wake of this.#wakes) wake();
    });
  }
}

/** Ends a transaction that is to be run again. */
const onceMore = new Error("rolled back by the lag, to be run again");

async function repeating<T>(
  log: Log,
  random: Random,
  body: Parameters<typeof log.transact<T>>[0],
  how: Parameters<typeof log.transact<T>>[1],
): Promise<T> {
  if (random.fraction() < repeatedShare) {
    try {
      await log.transact(async (tx) => {
        await body(tx);
        throw onceMore;
      }, how);
    } catch (error) {
      if (error !== onceMore) throw error;
    }
  }
  return log.transact(body, how);
}

/** Indexes in an order drawn at random, in which those of one key follow each other as they did. */
function shuffled(keys: readonly string[], random: Random): number[] {
  const places = keys.map((_, index) => index);
  for (let last = places.length - 1; last > 0; last--) {
    const other = Math.floor(random.fraction() * (last + 1));
    [places[last], places[other]] = [places[other] as number, places[last] as number];
  }
  const byKey = new Map<string, number[]>();
  for (const [index, key] of keys.entries()) byKey.set(key, [...(byKey.get(key) ?? []), index]);
  return places.map((place) => byKey.get(keys[place] as string)?.shift() as number);
}

/** An object with some members replaced. Methods run on the object itself, whose private fields a copy would not have. */
function replacing<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get: (of, name) => {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name) as unknown;
      const member: unknown = Reflect.get(of, name, of);
      return typeof member === "function" ? (member.bind(of) as unknown) : member;
    },
  });
}
