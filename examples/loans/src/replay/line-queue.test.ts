import { expect, test } from "vitest";
import type { EventLine } from "../file/event-file.ts";
import { LineQueue } from "./line-queue.ts";

async function* lines(applications: readonly string[]): AsyncGenerator<EventLine> {
  for (const [index, application] of applications.entries())
    yield { application, activity: "O_SENT", lifecycle: "COMPLETE", resource: null, at: "2011-10-01T00:00:00Z", number: index + 1 };
}

test("lines of one application come in order and one at a time, those of others side by side", async () => {
  const applications = Array.from({ length: 1_000 }, (_, index) => `a-${(index * index) % 37}`);
  const queue = new LineQueue(lines(applications));
  const busy = new Set<string>();
  const last = new Map<string, number>();
  let handedOut = 0;
  let together = 0;
  const work = async (): Promise<void> => {
    for (let line = await queue.next(); line; line = await queue.next()) {
      expect(busy.has(line.application)).toBe(false);
      expect(line.number).toBeGreaterThan(last.get(line.application) ?? 0);
      busy.add(line.application);
      last.set(line.application, line.number);
      handedOut += 1;
      together = Math.max(together, busy.size);
      await new Promise((resolve) => setImmediate(resolve));
      busy.delete(line.application);
      queue.done(line);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  expect(handedOut).toBe(applications.length);
  expect(together).toBe(8);
});

test("the queue reads ahead as far as its bound and no further", async () => {
  let taken = 0;
  async function* counted(): AsyncGenerator<EventLine> {
    for await (const line of lines(Array.from({ length: 20_000 }, () => "a"))) {
      taken += 1;
      yield line;
    }
  }
  const queue = new LineQueue(counted());
  const first = await queue.next();
  const second = queue.next();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(taken).toBeLessThan(6_000);
  queue.done(first as EventLine);
  expect((await second)?.number).toBe(2);
});

test("a closed queue lets everybody go", async () => {
  const queue = new LineQueue(lines(["a", "a"]));
  await queue.next();
  const waiting = queue.next();
  queue.close();
  expect(await waiting).toBeUndefined();
});
