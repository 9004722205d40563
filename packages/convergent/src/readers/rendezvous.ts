/**
 * Which of several processes a slot belongs to, agreed on without talking: each candidate gets a number made of its id
 * and the slot, and the highest wins (Thaler and Ravishankar, 1998). When one comes or goes, only slots it gets or had
 * change hands.
 */
import type { CheckpointKey } from "../log/store.ts";

/** The candidate that shall own a slot; undefined without candidates. */
export function ownerOf(slot: number, of: CheckpointKey, candidates: readonly string[]): string | undefined {
  let owner: string | undefined;
  let highest = -1;
  for (const candidate of candidates) {
    const score = mixed(hashed(`${candidate} ${of.reader} ${of.version} ${of.source}`) ^ Math.imul(slot + 1, 0x9e3779b1));
    if (score > highest || (score === highest && candidate > (owner as string))) [owner, highest] = [candidate, score];
  }
  return owner;
}

/** FNV-1a. */
function hashed(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

/** The last steps of MurmurHash3: every bit of the input changes half of the output's. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
