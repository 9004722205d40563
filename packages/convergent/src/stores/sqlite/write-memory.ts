/**
 * Answers that write transactions remember for the next one: who owns the slots of a reader, and which versions of a view
 * there are. Every batch of a reader asks both, and they change when a process comes or goes, or a view is built.
 *
 * Invariant: an answer is given only if no connection but this one has committed since it was read (`data_version`, asked
 * under the write lock), and this one has not changed what it is about. So what a fence is compared with (R3) is what a
 * statement in this very transaction would return.
 */
import type { Database } from "./database.ts";

/** Answers kept; past it all are asked anew. A process has two for each of its views. */
const answersMax = 10_000;

export class WriteMemory {
  readonly #answers = new Map<string, unknown>();
  #of: { readonly database: Database; readonly version: unknown } | undefined;
  #isOpen = false;

  /** To be called when a write transaction has taken the lock, with the data's version as it is then. */
  begin(database: Database, version: unknown): void {
    if (this.#of?.database !== database || this.#of.version !== version) this.#answers.clear();
    this.#of = { database, version };
    this.#isOpen = true;
  }

  /** The remembered answer, or what `read` says now. */
  once<T>(name: string, read: () => T): T {
    if (!this.#isOpen) return read();
    if (this.#answers.has(name)) return this.#answers.get(name) as T;
    if (this.#answers.size >= answersMax) this.#answers.clear();
    const answer = read();
    this.#answers.set(name, answer);
    return answer;
  }

  /** This transaction changes what is remembered: until it has ended, committed or not, nothing is. */
  forget(): void {
    this.#answers.clear();
    this.#isOpen = false;
  }
}
