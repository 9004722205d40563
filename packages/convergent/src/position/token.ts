/**
 * A token: how far each store had come when a write was acknowledged or a read was answered. One entry a store.
 * On the wire: `store.epoch.position.time.check.mac`, entries joined by commas. Merging needs no key; only the store
 * that issued an entry can verify it. This file is pure: signing is a function the issuer hangs on the entry, so that
 * a token which never leaves the process is never signed.
 */
import { ConvergentError } from "../errors/error.ts";
import { comparePositions, type Position, position } from "./position.ts";

/** What one store vouches for: "my log had reached this position". */
export interface TokenEntry {
  /** Name of the store: letters, digits, `-` and `_`. */
  readonly store: string;
  /** Random id of the store's epoch; a restore begins a new one (L5). */
  readonly epoch: string;
  readonly position: Position;
  /** Time of the event at that position, in milliseconds since 1970. */
  readonly time: number;
  /** The first characters of the id of the event at that position: another event there means another history. */
  readonly check: string;
  /** The issuer's signature, or how to make it. */
  readonly mac: string | (() => string);
}

/** Stores that one token may name; a longer one is refused, so that a header stays small. */
export const tokenEntriesMax = 64;

const entryPattern = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,32})\.(\d{1,16})\.(\d{1,16})\.([A-Za-z0-9_-]{0,16})\.([A-Za-z0-9_-]{0,64})$/;

/** A consistency token. Immutable; `String(token)` and JSON give the wire form. */
export class Token {
  readonly entries: readonly TokenEntry[];
  #text: string | undefined;

  constructor(entries: readonly TokenEntry[]) {
    this.entries = entries;
  }

  /** The entry of a store, if the token names it. With several epochs of one store, the newest by time. */
  entry(store: string): TokenEntry | undefined {
    let newest: TokenEntry | undefined;
    for (const entry of this.entries) if (entry.store === store && (!newest || entry.time >= newest.time)) newest = entry;
    return newest;
  }

  /** This token without the entries of one store. */
  without(store: string): Token {
    return new Token(this.entries.filter((entry) => entry.store !== store));
  }

  toString(): string {
    return (this.#text ??= this.entries.map(encodeEntry).join(","));
  }

  toJSON(): string {
    return this.toString();
  }
}

/** A token that asks for nothing. */
export const emptyToken: Token = new Token([]);

/** The part of an entry that its signature covers. */
export function signedPart(entry: Omit<TokenEntry, "mac">): string {
  return `${entry.store}.${entry.epoch}.${entry.position}.${entry.time}.${entry.check}`;
}

function encodeEntry(entry: TokenEntry): string {
  return `${signedPart(entry)}.${typeof entry.mac === "string" ? entry.mac : entry.mac()}`;
}

/** Reads the wire form. Throws `token_invalid` when it is malformed; it verifies no signature. */
export function parseToken(wire: string): Token {
  const parts = wire
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  if (parts.length > tokenEntriesMax)
    throw new ConvergentError("token_invalid", `a token names at most ${tokenEntriesMax} stores, this one ${parts.length}`);
  return mergeTokens(new Token(parts.map(parseEntry)));
}

function parseEntry(part: string): TokenEntry {
  const match = entryPattern.exec(part);
  const [, store, epoch, place, time, check, mac] = match ?? [];
  const whole = Number(place);
  if (
    store === undefined ||
    epoch === undefined ||
    check === undefined ||
    mac === undefined ||
    !Number.isSafeInteger(whole) ||
    !Number.isSafeInteger(Number(time))
  ) {
    throw new ConvergentError("token_invalid", `"${part.slice(0, 80)}" is no token entry: expected store.epoch.position.time.check.mac`);
  }
  return { store, epoch, position: position(whole), time: Number(time), check, mac };
}

/** The newer of each store's and epoch's entries: a token that asks for all that any of `tokens` asks for. Commutative, associative, idempotent. */
export function mergeTokens(...tokens: readonly Token[]): Token {
  if (tokens.length === 1 && (tokens[0] as Token).entries.length < 2) return tokens[0] as Token;
  const newest = new Map<string, TokenEntry>();
  for (const token of tokens) {
    for (const entry of token.entries) {
      const key = `${entry.store}.${entry.epoch}`;
      const known = newest.get(key);
      if (!known || precedes(known, entry)) newest.set(key, entry);
    }
  }
  return new Token([...newest.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry));
}

// Two entries with one position differ only when somebody forged one or a fork was hidden; the tie is broken by
// text, so that merging gives one answer in any order.
function precedes(known: TokenEntry, other: TokenEntry): boolean {
  const order = comparePositions(known.position, other.position);
  if (order !== 0) return order < 0;
  return known !== other && encodeEntry(known) < encodeEntry(other);
}

/** The token without entries older than `horizonMs` before `nowMs`: what is that old is visible everywhere or named as late. */
export function withinHorizon(token: Token, nowMs: number, horizonMs: number): Token {
  return new Token(token.entries.filter((entry) => entry.time >= nowMs - horizonMs));
}
