// A watch and its runs: each on its own, the newest value only, and an end that is told.
import { expect, test } from "vitest";
import { type Run, Watching } from "./watch.ts";

/** Runs that a test feeds by hand. */
class Runs {
  readonly open: Array<{ put: (value: number) => void; run: AbortController; end: (error?: Error) => void }> = [];
  readonly run: Run<number> = (put, run) =>
    new Promise((resolve, reject) => {
      const end = (error?: Error): void => (error ? reject(error) : resolve());
      run.signal.addEventListener("abort", () => end(run.signal.reason as Error));
      this.open.push({ put, run, end });
    });

  watch(signal?: AbortSignal): Watching<number> {
    return new Watching(this.run, signal);
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a slow iteration is given the newest value, and none twice", async () => {
  const runs = new Runs();
  const values = runs.watch()[Symbol.asyncIterator]();
  const first = values.next();
  for (const value of [1, 2, 3]) runs.open[0]!.put(value);
  expect(await first).toEqual({ done: false, value: 3 });
  const next = values.next();
  await turn();
  runs.open[0]!.put(4);
  runs.open[0]!.put(5);
  expect((await next).value).toBe(5);
});

test("iterations and subscriptions of one watch are runs of their own, and start with the first value that is asked for", async () => {
  const runs = new Runs();
  const watch = runs.watch();
  const one = watch[Symbol.asyncIterator]();
  const other = watch[Symbol.asyncIterator]();
  expect(runs.open).toHaveLength(0);
  const [first, second] = [one.next(), other.next()];
  const heard: number[] = [];
  const stop = watch.subscribe((value) => heard.push(value));
  expect(runs.open).toHaveLength(3);
  runs.open.forEach(({ put }, index) => put(index));
  expect([(await first).value, (await second).value, heard]).toEqual([0, 1, [2]]);
  await one.return?.();
  stop();
  expect(runs.open.map(({ run }) => run.signal.aborted)).toEqual([true, false, true]);
});

test("a subscription hears nothing after it has ended, not even what comes at the same moment", async () => {
  const runs = new Runs();
  const heard: unknown[] = [];
  const stop = runs.watch().subscribe(
    (value) => heard.push(value),
    (error) => heard.push(error),
  );
  runs.open[0]!.put(1);
  stop();
  runs.open[0]!.put(2);
  await turn();
  expect(heard).toEqual([1]);
});

test("a cancelled iteration throws the signal's reason; a cancelled subscription just ends", async () => {
  const runs = new Runs();
  const leaving = new AbortController();
  const reason = new Error("the page was left");
  const watch = runs.watch(leaving.signal);
  const failed: Error[] = [];
  watch.subscribe(
    () => undefined,
    (error) => failed.push(error),
  );
  const values = watch[Symbol.asyncIterator]();
  const first = values.next();
  leaving.abort(reason);
  await expect(first).rejects.toBe(reason);
  expect(await values.next()).toEqual({ done: true, value: undefined });
  await expect(watch[Symbol.asyncIterator]().next()).rejects.toBe(reason);
  expect(failed).toEqual([]);
  expect(runs.open.every(({ run }) => run.signal.aborted)).toBe(true);
});

test("what came before an end or an error is handed over before it", async () => {
  const runs = new Runs();
  const values = runs.watch()[Symbol.asyncIterator]();
  const first = values.next();
  runs.open[0]!.put(1);
  runs.open[0]!.end(new Error("forbidden"));
  await turn();
  expect((await first).value).toBe(1);
  await expect(values.next()).rejects.toThrow("forbidden");
  const seen: number[] = [];
  const iterating = (async () => {
    for await (const value of runs.watch()) seen.push(value);
  })();
  await turn();
  runs.open[1]!.put(7);
  runs.open[1]!.end();
  await iterating;
  expect(seen).toEqual([7]);
});

test("whoever waits for a value when the iteration is left is told that there are no more", async () => {
  const runs = new Runs();
  const values = runs.watch()[Symbol.asyncIterator]();
  const first = values.next();
  await values.return?.();
  expect(await first).toEqual({ done: true, value: undefined });
  expect(runs.open[0]!.run.signal.aborted).toBe(true);
});

test("a subscription is told once why no more will come", async () => {
  const runs = new Runs();
  const failed: Error[] = [];
  runs.watch().subscribe(
    () => undefined,
    (error) => failed.push(error),
  );
  runs.open[0]!.end(new Error("forbidden"));
  await turn();
  expect(failed.map(({ message }) => message)).toEqual(["forbidden"]);
});
