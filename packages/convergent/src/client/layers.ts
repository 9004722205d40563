/**
 * What a watched value looks like with commands laid over it that it does not hold yet: a state, and what happens to it. Pure.
 *
 * - A layer lies over the value from the moment its command is given until the value is known to hold it: by position, never because
 *   a promise resolved. A value that did not change for the command, or that came before its answer did, is told by position too.
 * - Layers keep the order in which their commands were given, over whatever value is newest.
 * - While a command is on its way, nobody knows whether a newer value holds it already, and laying it over that would count it twice:
 *   such a value waits for the answer. A command whose outcome nobody knows holds up nothing, and is marked.
 * - What is refused is taken away at once, with the reason. What a restored store no longer has is taken away with a word, too.
 * - A value never goes back to an older position of one history.
 */
import { mergeTokens, emptyToken, Token, type TokenEntry } from "../position/token.ts";
import type { Conflict } from "../protocol/outcome.ts";
import type { HistoryLost } from "./session.ts";
import type { News } from "./watch-source.ts";

/** Why a command was taken back. */
export type Refusal =
  | { readonly kind: "rejected"; readonly reason: string }
  | { readonly kind: "conflict"; readonly conflict: Conflict<unknown> }
  | { readonly kind: "failed"; readonly error: Error }
  | { readonly kind: "lost"; readonly lost: HistoryLost };

/** How far the command of a layer has come. */
export type Progress =
  | { readonly kind: "waiting" }
  | { readonly kind: "sent" }
  | { readonly kind: "unknown" }
  | { readonly kind: "accepted"; readonly token: Token };

/** A command laid over a value. */
export interface Layer {
  readonly id: string;
  /** What the reading becomes by it. */
  readonly lay: (reading: unknown) => unknown;
  readonly progress: Progress;
}

/** A watched value and what lies over it. */
export interface Layered {
  /** The newest reading that is shown; absent before the first one. */
  readonly base?: News;
  /** A newer one, which waits for the answer to a command that is on its way. */
  readonly held?: News;
  /** How far readings have come. */
  readonly reached: Token;
  /** All that the base is known to hold, by what the gateway said of it and of readings before it. */
  readonly covers: Token;
  readonly layers: readonly Layer[];
  /** The last command that was taken back, until the next one is given. */
  readonly refusal?: Refusal;
}

/** What may happen to a watched value. */
export type Happening =
  | { readonly kind: "read"; readonly news: News }
  | { readonly kind: "given"; readonly layer: Layer }
  | { readonly kind: "progressed"; readonly id: string; readonly progress: Progress }
  | { readonly kind: "refused"; readonly id: string; readonly refusal: Refusal }
  | { readonly kind: "restored"; readonly lost: HistoryLost };

/** Nothing read yet, and nothing over it. `reached`: what was shown of it before. */
export function unread(reached: Token = emptyToken): Layered {
  return { reached, covers: emptyToken, layers: [] };
}

/** The state after something happened. Answers the very same state when that changes nothing. */
export function after(state: Layered, happening: Happening): Layered {
  switch (happening.kind) {
    case "read":
      return read(state, happening.news);
    case "given": {
      const { refusal: _, ...rest } = state;
      return settled({ ...rest, layers: [...state.layers.filter(({ id }) => id !== happening.layer.id), happening.layer] });
    }
    case "progressed": {
      if (!has(state, happening.id)) return state;
      const { id, progress } = happening;
      return settled({ ...state, layers: state.layers.map((layer) => (layer.id === id ? { ...layer, progress } : layer)) });
    }
    case "refused":
      if (!has(state, happening.id)) return state;
      return settled({ ...state, refusal: happening.refusal, layers: state.layers.filter(({ id }) => id !== happening.id) });
    case "restored":
      return restored(state, happening.lost);
  }
}

/** The reading with what is laid over it; `undefined` before there is one. Throws what a layer throws. */
export function laidOver({ base, layers }: Layered): unknown {
  return base && layers.reduce((reading, { lay }) => lay(reading), base.reading);
}

/** Whether both look the same: the same reading, with the same commands laid over it and the same word about them. */
export function looksLike(one: Layered, other: Layered): boolean {
  return (
    one.base === other.base &&
    one.refusal === other.refusal &&
    one.layers.length === other.layers.length &&
    one.layers.every(({ lay, progress }, index) => {
      const layer = other.layers[index];
      return layer?.lay === lay && (layer.progress.kind === "unknown") === (progress.kind === "unknown");
    })
  );
}

function has({ layers }: Layered, layer: string): boolean {
  return layers.some(({ id }) => id === layer);
}

function read(state: Layered, news: News): Layered {
  if (isOlder(news.at, state.reached)) return state;
  const reached = mergeTokens(state.reached, news.at);
  // With nothing to show yet, a value that may hold a command already is better than none.
  const waits = state.base !== undefined && state.layers.some(({ progress }) => progress.kind === "sent");
  return waits ? { ...state, reached, held: news } : settled({ ...state, reached, held: news });
}

// A held value takes its place as soon as no command is on its way, and layers that it holds are gone with it.
function settled(state: Layered): Layered {
  const { held, ...rest } = state;
  const isOnItsWay = rest.base !== undefined && rest.layers.some(({ progress }) => progress.kind === "sent");
  const next = held && !isOnItsWay ? { ...rest, base: held, covers: mergeTokens(rest.covers, held.covers) } : state;
  const layers = next.layers.filter(({ progress }) => progress.kind !== "accepted" || !holds(next.covers, progress.token));
  return layers.length === next.layers.length ? next : { ...next, layers };
}

/** Whether whatever has seen `seen` has seen all that `token` names. */
export function holds(seen: Token, token: Token): boolean {
  return token.entries.every((needed) =>
    seen.entries.some(
      ({ store, epoch, position }) =>
        store === needed.store && (epoch === needed.epoch || needed.epoch === anyEpoch) && position >= needed.position,
    ),
  );
}

/** Whether `token` lies before `reached` in one of its histories. What stands before the first event has an empty one. */
function isOlder(token: Token, reached: Token): boolean {
  if (token.entries.length === 0) return reached.entries.length > 0;
  return token.entries.some((entry) =>
    reached.entries.some(({ store, epoch, position }) => store === entry.store && epoch === entry.epoch && position > entry.position),
  );
}

/** No store gives its epochs such a name. What lies before a fork is part of every later history. */
const anyEpoch = "*";

function restored(state: Layered, lost: HistoryLost): Layered {
  const layers: Layer[] = [];
  let refusal = state.refusal;
  for (const layer of state.layers) {
    const progress = survivorOf(layer.progress, lost);
    if (progress) layers.push({ ...layer, progress });
    else refusal = { kind: "lost", lost };
  }
  return settled({ ...state, reached: withoutPast(state.reached, lost), layers, ...(refusal ? { refusal } : {}) });
}

/** A command's progress once a store was restored; `undefined` when the store no longer has what it did. */
export function survivorOf(progress: Progress, lost: HistoryLost): Progress | undefined {
  if (progress.kind !== "accepted") return progress;
  const { entries } = progress.token;
  if (entries.some((entry) => isPast(entry, lost))) return undefined;
  return {
    kind: "accepted",
    token: new Token(entries.map((entry) => (entry.store === lost.store ? { ...entry, epoch: anyEpoch } : entry))),
  };
}

/** What of a token a restored store still has. */
export function withoutPast(token: Token, lost: HistoryLost): Token {
  return new Token(token.entries.filter((entry) => !isPast(entry, lost)));
}

function isPast({ store, position }: TokenEntry, { store: restoredStore, fork }: HistoryLost): boolean {
  return store === restoredStore && (fork === undefined || position > fork);
}
