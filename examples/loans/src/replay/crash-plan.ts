/** When the server is killed: once in each of N equal parts of the run, at a random place in it and a random moment later. One seed gives the same places again. */

export interface CrashPoint {
  /** After so many acknowledged lines … */
  readonly lines: number;
  /** … and so many milliseconds, so that the blow does not always fall right behind an answer. */
  readonly delayMs: number;
}

const delayMsMax = 40;

export function crashPlan(crashes: number, lines: number, seed: number): readonly CrashPoint[] {
  const fraction = random(seed);
  return Array.from({ length: crashes }, (_, index) => ({
    lines: Math.min(lines, Math.max(1, Math.floor((lines * (index + fraction())) / crashes))),
    delayMs: Math.floor(fraction() * delayMsMax),
  }));
}

/** Fractions from 0 up to 1 (mulberry32, Tommy Ettinger): small, and good enough to choose moments. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
