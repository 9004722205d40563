/**
 * What a process remembers of a store between its transactions: who it is and its epochs and its archive.
 * Another process may add to them; each snapshot in which anything may be new (see `snapshot-memory.ts`) therefore begins by asking
 * for the store's generation, so that no token is issued for a position of an epoch that this process has not heard of.
 */
import type { Epoch, Identity } from "../../log/store.ts";
import type { Position } from "../../position/position.ts";
import type { Database } from "./database.ts";
import * as sql from "./queries.ts";

export class Standing {
  #identity: Identity;
  #generation: unknown;
  #archive: string | undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** Id of the archive, once events have been moved to one. */
  get archive(): string | undefined {
    return this.#archive;
  }

  /** Learns what has changed, in a transaction of `database`. A snapshot older than what is known teaches nothing. */
  look(database: Database): void {
    const [generation, archive] = database.get(sql.readGeneration) ?? [];
    if (generation === this.#generation) return;
    const epochs = epochsOf(database);
    if (epochs.length < this.#identity.epochs.length || (this.#archive !== undefined && archive === null)) return;
    this.#archive = (archive ?? undefined) as string | undefined;
    this.#identity = { ...this.#identity, epochs };
    this.#generation = generation;
  }

  /** Learns what was just committed. A failure here must not make the commit one: the next transaction looks again. */
  lookAfterCommit(database: Database): void {
    try {
      this.look(database);
    } catch {
      // As said.
    }
  }
}

export function epochsOf(database: Database): Epoch[] {
  return database.all(sql.readEpochs).map((epoch): Epoch => ({ id: epoch[0] as string, first: epoch[1] as Position }));
}
