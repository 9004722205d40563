/**
 * The newest event that this process has seen committed. Each new connection is asked for it before anything else is: a standby that was
 * promoted without the last commits, or an older copy, does not have it, and what this process remembers (events, heads,
 * states, how far readers are) is of a history that is gone. Then nothing is read or written any more (`store_restored`, L5): the
 * process is to be started again, and begins a new epoch by its witness.
 */
import { ConvergentError } from "../../errors/error.ts";
import type { StoredEvent } from "../../log/event.ts";
import type { Connection } from "./connection.ts";
import { quoted } from "./transactions.ts";

export class NewestSeen {
  readonly #place: string;
  readonly #text: string;
  #event: Pick<StoredEvent, "position" | "id"> | undefined;
  #lost: ConvergentError | undefined;

  constructor(schema: string, place: string) {
    this.#place = place;
    this.#text = `SELECT id FROM ${quoted(schema)}.all_events WHERE position = $1`;
  }

  /** An event that is committed. */
  note(event: Pick<StoredEvent, "position" | "id"> | undefined): void {
    if (event && event.position > (this.#event?.position ?? 0)) this.#event = event;
  }

  /** Throws when it was found to be gone. */
  check(): void {
    if (this.#lost) throw this.#lost;
  }

  /** Asks a new connection. Throws `store_restored`. */
  async verify(connection: Connection): Promise<void> {
    this.check();
    const event = this.#event;
    if (!event) return;
    const { rows } = await connection.ask(this.#text, [event.position]);
    if (rows[0]?.[0] === event.id) return;
    this.#lost ??= new ConvergentError(
      "store_restored",
      `${this.#place} does not have the event at position ${event.position} that this process has seen: it is a standby that was promoted without it, or an older copy; start the process again, which begins a new epoch`,
      { details: { position: event.position } },
    );
    throw this.#lost;
  }
}
