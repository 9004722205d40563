/** The real host on Node: its clock, randomness, timers, disk and network. Imported by entry points only. */
import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock, Host, Random, Timers } from "../host/host.ts";
import { webTimers } from "../host-web/timers.ts";
import { nodeDisk } from "./disk.ts";
import { nodeNetwork } from "./network.ts";
import { nodeProcesses } from "./processes.ts";

const clock: Clock = { now: () => Date.now(), elapsed: () => performance.now() };

// One draw of 16 KiB serves 1,024 ids: a call to the generator costs 1 µs, the slice 0.1 µs.
const poolSize = 16_384;
let pool = Buffer.alloc(0);
let drawn = 0;

const alphabet = Buffer.from("abcdefghijklmnopqrstuvwxyz234567", "latin1");
const letters = Buffer.alloc(26);

/** 128 bits as 26 letters of base 32. */
function freshId(): string {
  if (drawn + 16 > pool.length) {
    pool = randomBytes(poolSize);
    drawn = 0;
  }
  let count = 0;
  let bits = 0;
  let value = 0;
  for (let index = 0; index < 16; index++) {
    value = ((value << 8) | (pool[drawn + index] as number)) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      letters[count++] = alphabet[(value >> bits) & 31] as number;
    }
  }
  drawn += 16;
  letters[count] = alphabet[(value << (5 - bits)) & 31] as number;
  return letters.toString("latin1");
}

const random: Random = { fraction: () => Math.random(), id: freshId };
const timers: Timers = { ...webTimers, turn: () => nextTurn() };

/** The host of this machine. */
export function nodeHost(): Host {
  return { clock, random, timers, disk: nodeDisk, network: nodeNetwork, processes: nodeProcesses, reached: () => undefined };
}
