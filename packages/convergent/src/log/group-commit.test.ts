import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { nodeHost } from "../host-node/host.ts";
import type { Admitted, Prepared } from "./admission.ts";
import { GroupCommit } from "./group-commit.ts";

const admitted: Admitted = { kind: "conflict", version: 0 };

/** A group commit whose batches end when they are told to. */
function gathering(overlap: 1 | 2) {
  const batches: Array<{ readonly size: number; end(): void }> = [];
  const group = new GroupCommit(
    (batch) => new Promise((resolve) => batches.push({ size: batch.length, end: () => resolve(batch.map(() => admitted)) })),
    nodeHost(),
    () => overlap,
  );
  const append = (count: number): void => {
    for (let index = 0; index < count; index++) void group.append({} as Prepared);
  };
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 5; turns++) await turn();
  };
  return { append, settle, batches, sizes: () => batches.map(({ size }) => size), group };
}

test("batches that overlap are equal parts of all that is here, and small ones are not divided", async () => {
  const { append, settle, batches, sizes, group } = gathering(2);
  append(64);
  await settle();
  expect(sizes()).toEqual([32, 32]);
  batches[0]?.end();
  append(64);
  await settle();
  expect(sizes()).toEqual([32, 32, 48]); // half of 64 that wait and 32 that are under way
  batches[1]?.end();
  await settle();
  expect(sizes()).toEqual([32, 32, 48, 16]);
  batches[2]?.end();
  append(10);
  await settle();
  expect(sizes()).toEqual([32, 32, 48, 16, 10]);
  batches[3]?.end();
  batches[4]?.end();
  await group.drained();
});

test("batches that do not overlap take all that waits", async () => {
  const { append, settle, batches, sizes, group } = gathering(1);
  append(20);
  await settle();
  append(44);
  await settle();
  expect(sizes()).toEqual([20]);
  batches[0]?.end();
  await settle();
  expect(sizes()).toEqual([20, 44]);
  batches[1]?.end();
  await group.drained();
});
