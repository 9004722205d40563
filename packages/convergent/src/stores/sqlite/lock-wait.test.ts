import { expect, test } from "vitest";
import type { Host } from "../../host/host.ts";
import { nodeHost } from "../../host-node/host.ts";
import { Turns } from "./lock-wait.ts";

/** A host whose time passes only in sleeps, which it lists. */
function sleepingHost(): { host: Host; sleeps: number[]; pass: (ms: number) => void } {
  const host = nodeHost();
  const sleeps: number[] = [];
  let now = 1000;
  const sleep = async (ms: number): Promise<void> => {
    sleeps.push(ms);
    now += ms;
  };
  return {
    host: { ...host, clock: { ...host.clock, elapsed: () => now }, timers: { ...host.timers, sleep } },
    sleeps,
    pass: (ms) => void (now += ms),
  };
}

test("a process that writes alone never rests", async () => {
  const { host, sleeps, pass } = sleepingHost();
  const turns = new Turns(host);
  for (let batch = 0; batch < 100; batch++, pass(10)) await turns.rest();
  expect(sleeps).toEqual([]);
});

test("beside another writer it rests once a slice, for longer than a waiter sleeps, and no more when the other has gone", async () => {
  const { host, sleeps, pass } = sleepingHost();
  const turns = new Turns(host);
  turns.begin();
  for (let batch = 0; batch < 20; batch++, pass(5)) {
    turns.rival();
    await turns.rest();
    turns.wrote();
  }
  expect(sleeps).toEqual([10, 10, 10, 10]);
  pass(300);
  await turns.rest();
  expect(sleeps).toHaveLength(4);
});

test("a write after an idle moment is not held up, though another process writes", async () => {
  const { host, sleeps, pass } = sleepingHost();
  const turns = new Turns(host);
  turns.begin();
  for (let write = 0; write < 20; write++, pass(50)) {
    turns.rival();
    await turns.rest();
    turns.wrote();
  }
  expect(sleeps).toEqual([]);
});
