// A subject and its watches without a store: what is looked at when, what is kept, and what is forgotten.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ConvergentError } from "convergent";
import { expect, test, vi } from "vitest";
import type { Message } from "./message.ts";
import { type Newest, NewestPage, NewestValue, type Standing } from "./newest.ts";
import { Topic, type TopicOptions } from "./topic.ts";
import { type Outlet, Watch } from "./watch.ts";

const standing = (asOf: number, epoch = "one"): Standing => ({ target: "t", epoch, version: 0, asOf, isWhole: true, token: `s.${asOf}` });
const valueAt = (asOf: number, value: unknown = asOf, epoch?: string): Newest =>
  new NewestValue(standing(asOf, epoch), JSON.stringify(value), { rest: {} });

/** Looks that the test answers one by one. */
class Looks {
  readonly asked: Array<{ readonly resolve: (newest: Newest) => void; readonly reject: (error: Error) => void }> = [];
  now = 0;
  head = 0;
  left = 0;
  readonly errors: unknown[] = [];
  readonly timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  readonly topic: Topic;

  constructor() {
    const timers = {
      after: (ms: number, run: () => void) => {
        const timer = { ms, run };
        this.timers.add(timer);
        return { cancel: () => this.timers.delete(timer) };
      },
    } as unknown as TopicOptions["timers"];
    this.topic = new Topic({
      target: "t",
      version: 0,
      epoch: () => "one",
      head: async () => this.head,
      timers,
      now: () => this.now,
      look: () => new Promise((resolve, reject) => this.asked.push({ resolve, reject })),
      follow: () => () => undefined,
      onLeft: () => this.left++,
      onError: (error) => this.errors.push(error),
    });
  }

  elapse(ms: number): void {
    this.now += ms;
    for (const timer of [...this.timers]) {
      if (timer.ms > ms) continue;
      this.timers.delete(timer);
      timer.run();
    }
  }
}

class Heard implements Outlet {
  isFull = false;
  readonly told: Array<Readonly<Record<string, unknown>>> = [];
  readonly moves: Watch[] = [];
  /** How many were sent at a time. */
  readonly together: number[] = [];
  /** Called before something is told. */
  telling: () => void = () => undefined;
  #late: Watch[] = [];

  sendAll(messages: readonly Message[], id: number): void {
    for (const message of messages) this.send(message, id);
    this.together.push(messages.length);
  }
  send(message: Message, id: number): void {
    this.telling();
    this.told.push(JSON.parse(message.text(id)) as Readonly<Record<string, unknown>>);
  }
  late(watch: Watch): void {
    this.#late.push(watch);
  }
  drain(): void {
    this.isFull = false;
    for (const watch of this.#late.splice(0)) watch.offer();
  }
  ended(): void {
    // Nothing is kept of it here.
  }
  failed(watch: Watch): void {
    watch.refuse({ status: 500 });
  }
  moved(watch: Watch): void {
    this.moves.push(watch);
  }
}

function watchOf(topic: Topic, outlet: Outlet, level?: { readonly position: number; readonly isWhole: boolean }): Watch {
  const watch = new Watch(1, { topic, outlet, grant: {}, level });
  topic.join(watch);
  watch.begin({ reset: "start" });
  return watch;
}

test("a subject that was left before its first look is forgotten once, and its look that fails later touches nothing", async () => {
  const looks = new Looks();
  watchOf(looks.topic, new Heard()).end();
  expect(looks.left).toBe(1);
  looks.asked[0]?.reject(new ConvergentError("not_found", "gone"));
  await new Promise((resolve) => setImmediate(resolve));
  expect(looks.left).toBe(1);
});

test("a look that is asked for during another one is made although nobody watches for a moment", async () => {
  const looks = new Looks();
  const first = watchOf(looks.topic, new Heard());
  looks.asked[0]?.resolve(valueAt(1));
  await vi.waitUntil(() => looks.topic.newest);
  void looks.topic.look();
  void looks.topic.look();
  first.end();
  looks.asked[1]?.resolve(valueAt(2));
  await vi.waitUntil(() => looks.asked.length === 3);
  looks.asked[2]?.resolve(valueAt(3));
  await vi.waitUntil(() => looks.topic.newest?.standing.asOf === 3);
  const later = new Heard();
  watchOf(looks.topic, later);
  expect(later.told.at(-1)).toMatchObject({ value: 3, asOf: 3 });
});

test("a look that fails holds nobody up, comes again by itself, and no more once the subject is forgotten", async () => {
  const looks = new Looks();
  const watch = watchOf(looks.topic, new Heard());
  const looked = looks.topic.look();
  looks.asked[0]?.reject(new ConvergentError("unavailable", "the store is away"));
  await looked;
  looks.elapse(500);
  expect(looks.asked).toHaveLength(2);
  looks.asked[1]?.reject(new ConvergentError("unavailable", "the store is away"));
  await looks.topic.look();
  watch.end();
  expect(looks.timers.size).toBe(0);
});

test("who is told of the position late, because there was no room, is told it all the same", async () => {
  const looks = new Looks();
  const outlet = new Heard();
  watchOf(looks.topic, outlet);
  looks.topic.publish(valueAt(1, "same"));
  outlet.isFull = true;
  looks.topic.publish(valueAt(2, "same"));
  outlet.drain();
  expect(outlet.told.at(-1)).toMatchObject({ asOf: 1 });
  looks.elapse(100);
  expect(outlet.told.at(-1)).toMatchObject({ asOf: 2 });
});

test("what comes while telling everybody takes its time is told together, in order, and twice to nobody", () => {
  const looks = new Looks();
  const [outlet, slow, late] = [new Heard(), new Heard(), new Heard()];
  watchOf(looks.topic, outlet);
  watchOf(looks.topic, slow);
  outlet.telling = () => (looks.now += 5);
  looks.topic.publish(valueAt(1));
  outlet.telling = () => undefined;
  looks.topic.publish(valueAt(2));
  looks.topic.publish(valueAt(3));
  watchOf(looks.topic, late);
  expect(outlet.told.at(-1)).toMatchObject({ asOf: 1 });
  slow.isFull = true;
  looks.elapse(5);
  slow.drain();
  const positions = ({ told }: Heard): unknown[] => told.filter((each) => "asOf" in each).map(({ asOf }) => asOf);
  expect([outlet, slow, late].map(positions)).toEqual([[1, 2, 3], [1, 3], [3]]);
  expect(outlet.together).toEqual([2]);
  looks.topic.publish(valueAt(4));
  expect([outlet, slow, late].map((each) => positions(each).at(-1))).toEqual([4, 4, 4]);
  for (let asOf = 5; asOf < 40; asOf++) {
    if (asOf === 5) outlet.telling = () => (looks.now += 5);
    looks.topic.publish(valueAt(asOf));
    outlet.telling = () => undefined;
  }
  // The first one at once, then as many together as are kept, and by then telling them takes no time.
  expect(positions(outlet).slice(-35)).toEqual(Array.from({ length: 35 }, (_, index) => index + 5));
  expect(outlet.together).toEqual([2, 32]);
});

test("who joins while states wait to be told is told nothing of the history before", () => {
  const looks = new Looks();
  const [outlet, late] = [new Heard(), new Heard()];
  watchOf(looks.topic, outlet);
  outlet.telling = () => (looks.now += 5);
  looks.topic.publish(valueAt(1));
  outlet.telling = () => undefined;
  looks.topic.publish(valueAt(2));
  looks.topic.publish(valueAt(1, "anew", "two"));
  watchOf(looks.topic, late);
  looks.elapse(5);
  looks.topic.publish(valueAt(2, "more", "two"));
  expect(outlet.told.slice(-4)).toMatchObject([{ value: 2 }, { reset: "history" }, { value: "anew" }, { value: "more" }]);
  // It asked while its server knew of the former history, and of that it hears the reset alone.
  expect(late.told).toMatchObject([{ reset: "start" }, { reset: "history" }, { value: "anew" }, { value: "more" }]);
});

test("what waits to be told when its subject fails is told nobody", () => {
  const looks = new Looks();
  const outlet = new Heard();
  watchOf(looks.topic, outlet);
  outlet.telling = () => (looks.now += 5);
  looks.topic.publish(valueAt(1));
  outlet.telling = () => undefined;
  looks.topic.publish(valueAt(2));
  looks.topic.fail(new ConvergentError("not_found", "gone"));
  looks.elapse(5);
  expect(outlet.told.slice(-2)).toMatchObject([{ value: 1 }, { error: { status: 404 } }]);
  expect([looks.timers.size, looks.left]).toEqual([0, 1]);
});

test("of states that are told together each is judged by itself", () => {
  const looks = new Looks();
  const outlet = new Heard();
  const watch = new Watch(1, { topic: looks.topic, outlet, grant: { shows: (value) => value !== 3 }, level: undefined });
  looks.topic.join(watch);
  watch.begin({ reset: "start" });
  outlet.telling = () => (looks.now += 5);
  looks.topic.publish(valueAt(1));
  outlet.telling = () => undefined;
  looks.topic.publish(valueAt(2));
  looks.topic.publish(valueAt(3));
  looks.elapse(5);
  expect(outlet.told.slice(-3)).toMatchObject([{ value: 1 }, { value: 2 }, { value: null }]);
});

test("what `after` names is not taken for seen in another history by its position there", () => {
  const looks = new Looks();
  const outlet = new Heard();
  const watch = watchOf(looks.topic, outlet, { position: 5, isWhole: true });
  looks.topic.publish(valueAt(5));
  expect(outlet.told.at(-1)).toMatchObject({ asOf: 5, fresh: true });
  looks.topic.publish(valueAt(6, 6, "two"));
  expect(outlet.told.slice(-2)).toMatchObject([{ reset: "history" }, { asOf: 6, fresh: false }]);
  expect(outlet.moves).toEqual([watch]);
  watch.reached({ position: 4, isWhole: true });
  expect(outlet.told.at(-1)).toMatchObject({ asOf: 6, fresh: true });
});

test("a cursor before which this process stands is waited for, and one past the head of the log begins anew", async () => {
  const looks = new Looks();
  const outlet = new Heard();
  looks.head = 9;
  const watch = new Watch(1, { topic: looks.topic, outlet, grant: {}, level: undefined });
  looks.topic.join(watch);
  watch.begin({ from: { position: 9, tags: [] } });
  looks.topic.publish(valueAt(7));
  await Promise.resolve();
  await Promise.resolve();
  expect(outlet.told).toEqual([{ id: 1, resumed: true }]);
  looks.head = 8;
  looks.topic.publish(valueAt(8));
  await vi.waitUntil(() => outlet.told.length === 3);
  expect(outlet.told.slice(1)).toMatchObject([{ reset: "history" }, { value: 8 }]);
});

test("a page keeps nothing of the pages before it, whose difference it tells", () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const page = (asOf: number): NewestPage =>
    new NewestPage(standing(asOf), [{ key: "k", text: JSON.stringify(`${asOf}`.padEnd(20_000)) }], {});
  let newest = page(0);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let asOf = 1; asOf <= 2_000; asOf++) {
    const next = page(asOf);
    expect(next.told(newest, true).message).toBe(next.told(newest, true).message);
    newest = next;
  }
  collect();
  // All of them would be 40 MB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
  expect(newest.standing.asOf).toBe(2_000);
});
