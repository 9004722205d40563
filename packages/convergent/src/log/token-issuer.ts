/**
 * Tokens as their issuer sees them: makes the entry for a position of this store, signs it when it leaves the process,
 * and says of an entry that comes back whether it is ours, valid, and on this side of any restore (L5).
 */
import { ConvergentError } from "../errors/error.ts";
import { comparePositions, type Position } from "../position/position.ts";
import { signedPart, Token, type TokenEntry } from "../position/token.ts";
import { Signer } from "./digest.ts";
import { epochAt, forkAfter } from "./epochs.ts";
import type { Identity } from "./store.ts";

/** Characters of the event's id that an entry carries: 20 random bits. */
const checkLength = 4;

/** Entries older than this are dropped, and a reader further behind is never called fresh. */
export const horizonMs = 3_600_000;

/** The place in the log that a token is made for. */
export interface Place {
  readonly position: Position;
  readonly at: number;
  /** Id of the event there; empty at the origin. */
  readonly id: string;
}

/** What a token asks of a log. */
export interface Demand {
  /** The store's own position that must be reached. */
  readonly position: Position;
  /** Entries of other stores, to be exchanged through the inbox rows. */
  readonly foreign: readonly TokenEntry[];
}

export class TokenIssuer {
  readonly #owner: { readonly identity: Identity };
  readonly #signer: Signer;

  /** For the store `owner`, whose epochs may become more. */
  constructor(owner: { readonly identity: Identity }) {
    this.#owner = owner;
    this.#signer = new Signer(owner.identity.key);
  }

  /** A token that asks for everything up to a place. */
  issue(place: Place): Token {
    const part = {
      store: this.#owner.identity.store,
      epoch: epochAt(this.#owner.identity.epochs, place.position).id,
      position: place.position,
      time: place.at,
      check: place.id.slice(0, checkLength),
    };
    return new Token([{ ...part, mac: () => this.#sign(part) }]);
  }

  /**
   * Verifies the signature and epoch of an entry of this store. Throws `token_invalid` when it was not signed here
   * and `token_epoch` when the position it names was lost in a restore.
   */
  verify(entry: TokenEntry): void {
    if (typeof entry.mac === "string" && entry.mac !== this.#sign(entry)) {
      throw new ConvergentError(
        "token_invalid",
        `the token entry for ${entry.store} was not signed by this store; drop it and go on without`,
        { details: { store: entry.store } },
      );
    }
    const fork = forkAfter(this.#owner.identity.epochs, entry.epoch);
    if (fork !== undefined && comparePositions(entry.position, fork) > 0) throw this.lost(entry, fork);
  }

  /** Whether the event with this id is the one that the entry was issued for. */
  matches(entry: TokenEntry, eventId: string): boolean {
    return eventId.startsWith(entry.check);
  }

  /** The error for an entry whose position was lost in a restore; the log is unchanged up to `fork`. */
  lost(entry: TokenEntry, fork: Position): ConvergentError {
    return new ConvergentError(
      "token_epoch",
      `position ${entry.position} of ${entry.store} was written in another history; the log agrees with it up to ${fork} at most. Drop the entry and tell the user what may be gone`,
      {
        details: { store: entry.store, position: entry.position, fork },
      },
    );
  }

  #sign(entry: Omit<TokenEntry, "mac">): string {
    return this.#signer.sign(signedPart(entry));
  }
}
