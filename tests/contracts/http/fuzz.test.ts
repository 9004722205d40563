// HTTP contract, "Bad input", by the thousand: malformed requests from a seed, over real sockets, against a server in a process of its
// own. None of them crashes it, none is answered with 5xx, and afterwards it holds no more memory than before.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Malformed } from "./malformed.ts";
import { placement } from "./order-service.ts";
import { Pipe } from "./pipe.ts";
import { Served } from "./served.ts";

const requests = 20_000;
const seed = 20_261_121;
const connections = 32;

let directory: string;
let served: Served;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "convergent-fuzz-"));
  served = await Served.start({ file: join(directory, "orders.db") });
});
afterAll(async () => {
  served.child.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

/** Sends malformed requests, each made anew from the seed and its number; counts answers by status. */
async function attack(from: number, count: number): Promise<Map<string, number>> {
  const answers = new Map<string, number>();
  let next = from;
  const one = async (): Promise<void> => {
    const pipe = new Pipe(served.port);
    while (next < from + count) {
      const number = next++;
      const status = await pipe.send(new Malformed(seed + number).request());
      answers.set(status, (answers.get(status) ?? 0) + 1);
      if (status.startsWith("5")) throw new Error(`request ${number} of seed ${seed} was answered with ${status}`);
    }
    pipe.close();
  };
  await Promise.all(Array.from({ length: connections }, one));
  return answers;
}

test("20,000 malformed requests: no crash, no 5xx, and the heap is what it was", async () => {
  // What a server keeps once and for all (compiled code, routes, first connections) is no leak: it comes before the first look.
  await attack(-1000, 1000);
  const before = await served.heapBytes();
  const answers = await attack(0, requests);
  const after = await served.heapBytes();
  const told = JSON.stringify(Object.fromEntries(answers));
  expect(served.child.exitCode).toBeNull();
  expect(served.failures).toEqual([]);
  expect([...answers.values()].reduce((sum, count) => sum + count, 0)).toBe(requests);
  for (const status of ["200", "400", "403", "404", "405", "413", "cut off"])
    expect(answers.get(status), `${status} in ${told}`).toBeGreaterThan(0);
  expect((after - before) / 1e6, `MB of heap; answers ${told}`).toBeLessThan(20);
  const placed = await fetch(`${served.url}/entities/order/after-all/place`, { method: "POST", body: JSON.stringify(placement) });
  expect(placed.status).toBe(200);
}, 120_000);
