/** States of entities by stream, at a version, least recently used out first. A hint: the append checks the version. */

/** States kept; each is as large as the application made it. */
export const statesMax = 10_000;

export interface KnownState {
  readonly version: number;
  readonly state: unknown;
}

export class StateCache {
  readonly #max: number;
  readonly #states = new Map<string, KnownState>();

  constructor(max: number = statesMax) {
    this.#max = max;
  }

  get(stream: string): KnownState | undefined {
    const known = this.#states.get(stream);
    if (!known) return undefined;
    this.#states.delete(stream);
    this.#states.set(stream, known);
    return known;
  }

  /** Keeps a state unless a newer one is known. */
  keep(stream: string, known: KnownState): void {
    const present = this.#states.get(stream);
    if (present && present.version > known.version) return;
    this.#states.delete(stream);
    this.#states.set(stream, known);
    if (this.#states.size > this.#max) this.#states.delete(this.#states.keys().next().value as string);
  }

  /** Drops a state that turned out to be old. */
  forget(stream: string, version: number): void {
    if (this.#states.get(stream)?.version === version) this.#states.delete(stream);
  }
}
