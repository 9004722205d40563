/**
 * Randomness of a run, all of it from one seed: sfc32 (Doty-Humphrey, PractRand), seeded by a label, so that drawing
 * more for one purpose changes nothing for another.
 */
import type { Random } from "../host/host.ts";

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** Draws of one purpose in one run. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, label: string) {
    let hash = 0x811c9dc5 ^ (seed >>> 0);
    hash = Math.imul(hash ^ Math.floor(seed / 2 ** 32), 0x01000193);
    for (let index = 0; index < label.length; index++) hash = Math.imul(hash ^ label.charCodeAt(index), 0x01000193);
    this.#a = hash >>> 0;
    this.#b = Math.imul(hash ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
    this.#c = Math.imul(hash ^ 0x7f4a7c15, 0xc2b2ae35) >>> 0;
    for (let round = 0; round < 12; round++) this.#next();
  }

  /** From 0 (included) to 1 (excluded). */
  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  id(): string {
    let id = "";
    for (let word = 0; word < 5; word++) {
      let bits = this.#next();
      for (let letter = 0; letter < 6 && id.length < 26; letter++) {
        id += alphabet[bits & 31];
        bits >>>= 5;
      }
    }
    return id;
  }

  /** Whether something happens that happens with this probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.fraction() * count);
  }

  between(least: number, most: number): number {
    return least + this.fraction() * (most - least);
  }

  /** Times between events that do not know of each other. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.fraction());
  }

  /** One of a list that is not empty. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }
}
