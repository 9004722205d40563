import { expect, test } from "vitest";
import { Log } from "../log/log.ts";
import { memory } from "../stores/memory/index.ts";
import { Membership, type Participant } from "./membership.ts";

/** A reader that counts how often it was asked whether somebody waits for it. */
class Counted implements Participant {
  readonly checkpointKey: Participant["checkpointKey"];
  asked = 0;
  isAwaited = false;
  seen = 0;

  constructor(reader: string) {
    this.checkpointKey = { reader, version: 1, source: "orders" };
  }

  async prepare(): Promise<number> {
    return 1;
  }

  assigned(): void {
    // It has no work.
  }

  get shares(): boolean {
    return this.isAwaited;
  }

  get watches(): boolean {
    this.asked++;
    return this.isAwaited;
  }

  observed(): void {
    this.seen++;
  }

  polled(): void {
    // Nothing is set aside.
  }
}

test("an advance of the log asks nothing of readers for whose slots nobody waits, and looks for those that somebody waits for", async () => {
  const log = await Log.open(memory(), "orders");
  const membership = new Membership(log);
  const readers = ["a", "b", "c"].map((name) => new Counted(name));
  for (const reader of readers) membership.join(reader);
  await membership.start();
  const [first, ...others] = readers as [Counted, ...Counted[]];
  first.isAwaited = true;
  membership.watch(first);
  const append = (): Promise<unknown> => log.append({ stream: "order/1", expected: "any", events: [{ type: "order.placed", data: {} }] });
  for (let count = 1; count <= 5; count++) {
    const before = first.seen;
    await append();
    await log.host.timers.sleep(1);
    expect(first.seen).toBeGreaterThan(before);
  }
  first.isAwaited = false;
  await append();
  await log.host.timers.sleep(5);
  const [seen, asked] = [first.seen, first.asked];
  for (let count = 0; count < 5; count++) await append();
  await log.host.timers.sleep(5);
  expect(first.seen).toBe(seen);
  expect(first.asked).toBe(asked);
  expect(others.map((each) => each.asked)).toEqual([0, 0]);
  await membership.stop();
  await log.close();
});
