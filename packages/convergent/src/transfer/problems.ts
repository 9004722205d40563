/** What is wrong with a copy or an import: the first problems in full, of the rest how many. */

/** Problems that are told in full. */
export const problemsTold = 20;

/** Something that is wrong, and where. */
export interface Problem {
  /** Where: a line's number in a file that is imported, a position in a store. */
  readonly at: number;
  readonly message: string;
}

export class Problems {
  readonly told: Problem[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(at: number, message: string): void {
    this.#count++;
    if (this.told.length < problemsTold) this.told.push({ at, message });
  }
}
