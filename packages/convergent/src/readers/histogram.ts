/**
 * Durations as a histogram with buckets 9% apart, over a sliding window: percentiles follow the present load and a
 * night's silence does not freeze last evening's. Two generations; the older one is dropped when the newer is full.
 */

/** Percentiles in milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly p99: number;
  /** Durations they are computed from. */
  readonly count: number;
}

const growth = 1.09;
const smallestMs = 0.1;
const bucketsMax = 220; // 0.1 ms * 1.09^220 is some five hours
const generationMax = 50_000;

export class Histogram {
  #newer = new Float64Array(bucketsMax);
  #older = new Float64Array(bucketsMax);
  #newerCount = 0;
  #olderCount = 0;

  record(durationMs: number): void {
    if (this.#newerCount >= generationMax) {
      this.#older = this.#newer;
      this.#olderCount = this.#newerCount;
      this.#newer = new Float64Array(bucketsMax);
      this.#newerCount = 0;
    }
    const bucket = durationMs <= smallestMs ? 0 : Math.min(bucketsMax - 1, Math.ceil(Math.log(durationMs / smallestMs) / Math.log(growth)));
    this.#newer[bucket] = (this.#newer[bucket] ?? 0) + 1;
    this.#newerCount++;
  }

  /** `undefined` until something was recorded. */
  percentiles(): Percentiles | undefined {
    const count = this.#newerCount + this.#olderCount;
    if (count === 0) return undefined;
    return { p50: this.#at(0.5 * count), p75: this.#at(0.75 * count), p95: this.#at(0.95 * count), p99: this.#at(0.99 * count), count };
  }

  #at(rank: number): number {
    let passed = 0;
    for (let bucket = 0; bucket < bucketsMax; bucket++) {
      passed += (this.#newer[bucket] ?? 0) + (this.#older[bucket] ?? 0);
      if (passed >= rank) return Math.round(smallestMs * growth ** bucket * 100) / 100;
    }
    return smallestMs * growth ** bucketsMax;
  }
}
