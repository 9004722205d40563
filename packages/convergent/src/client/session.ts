/**
 * The session: what this client has written and seen, as tokens. Writes raise one token for everything; reads raise
 * one per view (a later read of the same view is not older), or, in a causal session, the one for everything.
 * Entries older than the horizon are dropped, measured by the newest entry and not by this machine's clock.
 */
import { emptyToken, mergeTokens, parseToken, Token, type TokenEntry, tokenEntriesMax, withinHorizon } from "../position/token.ts";

/** What an entry asks for is visible everywhere, or named as late, after this long; servers drop older entries too. */
const horizonMs = 3_600_000;

/** Views whose last reading is remembered. A page that looks at more than this loses the oldest ones. */
const viewsMax = 1000;

/** What a client has written and read. */
export interface Session {
  /** Everything this session wrote, and was given. `String(token)` is its wire form. */
  readonly token: Token;
  /**
   * Whether requests carry what this session wrote and saw. False: reads ask for nothing unless they name `after`, and may
   * show what was before a write. What is written and read meanwhile is remembered all the same. Default true.
   */
  sendsToken: boolean;
  /** Takes over what another page or process has seen. Throws `token_invalid` when it is malformed. */
  merge(token: Token | string): void;
  /** Forgets everything: for another user on the same page. */
  clear(): void;
}

/** A store whose history, as this session knew it, is gone: it was restored from a backup. */
export interface HistoryLost {
  readonly store: string;
  /** Up to here the store agrees with what this session saw; later writes are gone. */
  readonly fork: number | undefined;
}

export class SessionMemory implements Session {
  sendsToken = true;
  readonly #causal: boolean;
  #token: Token = emptyToken;
  readonly #seen = new Map<string, Token>();
  readonly #listeners = new Set<() => void>();

  constructor(options: { readonly causal: boolean; readonly token?: Token | string }) {
    this.#causal = options.causal;
    if (options.token !== undefined) this.merge(options.token);
  }

  get token(): Token {
    return this.#token;
  }

  merge(token: Token | string): void {
    this.#token = joined(this.#token, tokenOf(token));
  }

  clear(): void {
    this.#token = emptyToken;
    this.#seen.clear();
  }

  /** What a read of `view` asks for: what this session saw there, and `after`, by default all that it wrote. */
  demand(view: string | undefined, after: Token | string | null | undefined): Token {
    if (after === null) return emptyToken;
    if (!this.sendsToken) return after === undefined ? emptyToken : tokenOf(after);
    const seen = view === undefined ? undefined : this.#seen.get(view);
    return joined(seen ?? emptyToken, after === undefined ? this.#token : tokenOf(after));
  }

  wrote(token: Token): void {
    this.#token = joined(this.#token, token);
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls back after each write of this session, until the answer is called. */
  onWrote(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** `view` is absent for reads of entities, which are always made at the head of their log. */
  read(token: Token, view?: string): void {
    if (this.#causal) this.#token = joined(this.#token, token);
    if (view === undefined) return;
    const seen = joined(this.#seen.get(view) ?? emptyToken, token);
    this.#seen.delete(view);
    this.#seen.set(view, seen);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > viewsMax && oldest !== undefined) this.#seen.delete(oldest);
  }

  /** Forgets what is known of the histories that `lost` names; answers whether it knew anything of them. */
  drop(lost: Token): boolean {
    const histories = new Set(lost.entries.map(historyOf));
    let knew = false;
    const rest = (token: Token): Token => {
      const kept = token.entries.filter((entry) => !histories.has(historyOf(entry)));
      knew ||= kept.length < token.entries.length;
      return new Token(kept);
    };
    this.#token = rest(this.#token);
    for (const [view, token] of this.#seen) this.#seen.set(view, rest(token));
    return knew;
  }
}

function historyOf({ store, epoch }: TokenEntry): string {
  return `${store}.${epoch}`;
}

/** A token, given in either form. Throws `token_invalid` when it is malformed. */
function tokenOf(token: Token | string): Token {
  if (token instanceof Token) return token;
  const other: unknown = token; // a token too, when a bundler has brought along the class twice: its text tells
  return parseToken(String(other));
}

/** Whether a value from the wire can be read as a token. */
export function isToken(value: unknown): value is string {
  if (typeof value !== "string") return false;
  try {
    parseToken(value);
    return true;
  } catch {
    return false;
  }
}

function joined(one: Token, other: Token): Token {
  if (other.entries.length === 0) return one;
  const merged = mergeTokens(one, other);
  const newest = merged.entries.reduce((time, entry) => Math.max(time, entry.time), 0);
  const recent = withinHorizon(merged, newest, horizonMs);
  if (recent.entries.length <= tokenEntriesMax) return recent;
  return new Token([...recent.entries].sort((a, b) => b.time - a.time).slice(0, tokenEntriesMax));
}
