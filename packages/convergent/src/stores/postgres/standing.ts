/**
 * What a process remembers of a store between its transactions: who it is, its epochs, and whether it has an archive. Another
 * process may add to them, so each transaction begins by asking for the store's generation: no token is issued for a position
 * of an epoch that this process has not heard of, and no archived event is missed.
 */
import type { Epoch, Identity } from "../../log/store.ts";
import type { Position } from "../../position/position.ts";
import type { Values } from "../rows.ts";
import type { Connection } from "./connection.ts";
import * as sql from "./queries.ts";

/** The row of `readStanding`, and the epochs with it. */
export interface Changed {
  readonly row: Values;
  readonly epochs: readonly Epoch[];
}

export class Standing {
  #identity: Identity;
  #generation: unknown;
  #isArchived = false;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** Whether this is what was learnt last. */
  isKnown(generation: unknown): boolean {
    return generation === this.#generation;
  }

  /** The table that has all events. */
  get table(): sql.EventsTable {
    return this.#isArchived ? "all_events" : "events";
  }

  /** Learns what has changed, from the row of `readStanding`, in the same transaction. */
  async look(connection: Connection, row: Values): Promise<void> {
    if (!this.isKnown(row[0])) this.learn({ row, epochs: await epochsOf(connection) });
  }

  /** Learns what is committed. A snapshot older than what is known teaches nothing. */
  learn({ row: [generation, isArchived], epochs }: Changed): void {
    if (epochs.length < this.#identity.epochs.length || (this.#isArchived && isArchived !== true)) return;
    this.#isArchived = isArchived === true;
    this.#identity = { ...this.#identity, epochs };
    this.#generation = generation;
  }
}

export async function epochsOf(connection: Connection): Promise<Epoch[]> {
  const { rows } = await connection.ask(sql.readEpochs);
  return rows.map((row) => ({ id: row[0] as string, first: row[1] as Position }));
}
