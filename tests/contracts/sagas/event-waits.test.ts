// Sagas that wait for events, on every store: nothing falls between, each event is given once, and a wait outlives the process that began it.
import { command, entity, event, type EventOf, Log, saga, type SagaScope, service } from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { hostWith } from "../stores/odd-hosts.ts";
import { newPlace, storeKind, type StoreKind, storeKinds } from "../stores/store-kinds.ts";

const wait = "20s";
const Line = z.object({ quantity: z.number().int() });

const order = entity("order", { initial: () => ({ lines: 0 }), events: { placed: Line, paid: Line } })
  .evolve({ placed: ({ lines }) => ({ lines: lines + 1 }), paid: (state) => state })
  .commands({
    place: command(Line, (_, line, emit) => emit.placed(line)),
    pay: command(Line, (_, line, emit) => emit.paid(line)),
  });

type Placed = EventOf<typeof order>;

async function waitingOn<Result>(kind: StoreKind, run: (s: SagaScope) => Promise<Result>, place = newPlace()) {
  const script = saga("script", { input: z.object({}) }, run);
  const running = await service("orders", { parts: { order, script } }).start({ store: kind.driver(place) });
  onTestFinished(() => running.stop());
  const { script: scripts } = running;
  const begun = async (steps: number, id = "s-1"): Promise<void> => {
    await expect.poll(async () => (await scripts.get(id)).steps.length, { timeout: 10_000 }).toBe(steps);
  };
  return { order: running.order, script: scripts, begun, place, stop: () => running.stop() };
}

describe.each(storeKinds)("$name", (kind) => {
  test("a saga goes on with the event that it waits for, and its stream says where that lies, not what it says", async () => {
    const {
      order: orders,
      script,
      begun,
    } = await waitingOn(kind, async (s) => {
      const placed = await s.waitFor(order, "order.placed", { match: ({ data }) => data.quantity > 1 });
      return placed && [placed.type, placed.entityId, placed.data.quantity];
    });
    await script.start("s-1", {});
    await begun(1);
    await orders("o-1").place({ quantity: 1 });
    await orders("o-2").place({ quantity: 2 });
    expect(await script.end("s-1", { wait })).toMatchObject({
      status: "completed",
      result: ["order.placed", "o-2", 2],
      steps: [{ name: "order.placed", kind: "event", state: "done", result: { stream: "order/o-2", version: 1 } }],
    });
  });

  test("an event from between the start of a saga and the wait is found, one from before the start is not", async () => {
    const {
      order: orders,
      script,
      begun,
    } = await waitingOn(kind, async (s) => {
      await s.signal("go");
      const placed = await s.waitFor(order, "order.placed", { entityId: "o-1" });
      const paid = await s.waitFor(order, "order.paid", { entityId: "o-1" });
      return [placed?.data.quantity, paid?.data.quantity];
    });
    await orders("o-1").place({ quantity: 1 });
    await script.start("s-1", {});
    await begun(1);
    await orders("o-1").pay({ quantity: 7 });
    await orders("o-1").place({ quantity: 2 });
    await orders("o-2").place({ quantity: 3 });
    await script.signal("s-1", "go");
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "completed", result: [2, 7] });
  });

  test("each event is given to one wait of a saga, in the order of the log, also when several wait at once; `after` passes over earlier ones", async () => {
    const {
      order: orders,
      script,
      begun,
    } = await waitingOn(kind, async (s) => {
      const both = await Promise.all([s.waitFor(order, "order.placed"), s.waitFor(order, "order.placed")]);
      await s.signal("go");
      const third = await s.waitFor(order, "order.placed");
      const last = await s.waitFor(order, "order.paid", third ? { after: third } : {});
      return [...both, third, last].map((each) => each?.data.quantity);
    });
    await script.start("s-1", {});
    await begun(2);
    for (const quantity of [1, 2]) await orders("o-1").place({ quantity });
    await begun(3);
    await orders("o-1").pay({ quantity: 10 });
    await orders("o-1").place({ quantity: 3 });
    await orders("o-1").pay({ quantity: 20 });
    await script.signal("s-1", "go");
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "completed", result: [1, 2, 3, 20] });
  });

  test("a wait answers undefined once nothing came in time, and never with what came later", async () => {
    const {
      order: orders,
      script,
      begun,
    } = await waitingOn(kind, async (s) => {
      const early = await s.waitFor(order, "order.placed", { timeout: "50ms" });
      await s.signal("go");
      return { early, late: (await s.waitFor(order, "order.placed", { timeout: "10s" }))?.data };
    });
    await script.start("s-1", {});
    await begun(2);
    await orders("o-1").place({ quantity: 4 });
    await script.signal("s-1", "go");
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "completed", result: { late: { quantity: 4 } } });
  });

  test("a wait goes on in the next process: with what came while none ran, in time", async () => {
    const run = async (s: SagaScope): Promise<unknown> => {
      const first = await s.waitFor(order, "order.placed");
      const second = await s.waitFor(order, "order.placed", { timeout: "1h" });
      return [first?.data.quantity, second?.data.quantity];
    };
    const first = await waitingOn(kind, run);
    await first.script.start("s-1", {});
    await first.begun(1);
    await first.order("o-1").place({ quantity: 1 });
    await first.begun(2);
    await first.stop();
    const bare = await service("orders", { parts: { order } }).start({ store: kind.driver(first.place) });
    await bare.order("o-1").place({ quantity: 2 });
    await bare.stop();
    const second = await waitingOn(kind, run, first.place);
    expect(await second.script.end("s-1", { wait })).toMatchObject({ status: "completed", result: [1, 2] });
  }, 30_000);

  test("an event that was appended after the time was up is not taken by a process that comes later still", async () => {
    const run = async (s: SagaScope): Promise<string> =>
      (await s.waitFor(order, "order.placed", { timeout: "100ms" })) === undefined ? "nothing" : "something";
    const first = await waitingOn(kind, run);
    await first.script.start("s-1", {});
    await first.begun(1);
    await first.stop();
    await new Promise((resolve) => setTimeout(resolve, 150));
    const bare = await service("orders", { parts: { order } }).start({ store: kind.driver(first.place) });
    await bare.order("o-1").place({ quantity: 2 });
    await bare.stop();
    const second = await waitingOn(kind, run, first.place);
    expect(await second.script.end("s-1", { wait })).toMatchObject({ status: "completed", result: "nothing" });
  }, 30_000);

  test("whether an event was in time is said by the time of the log, also where that is ahead of this process's clock", async () => {
    const place = newPlace();
    const ahead = await Log.open(kind.driver(place, { host: hostWith({ now: () => Date.now() + 60_000 }) }), "orders");
    await ahead.append({ stream: "order/o-0", expected: "any", events: [{ type: "order.placed", data: { quantity: 0 } }] });
    await ahead.close();
    const {
      order: orders,
      script,
      begun,
    } = await waitingOn(
      kind,
      async (s) => (await s.waitFor(order, "order.placed", { timeout: s.id === "never" ? "50ms" : "5s" }))?.data.quantity,
      place,
    );
    await script.start("never", {});
    expect((await script.end("never", { wait })).result).toBeUndefined();
    await script.start("s-1", {});
    await begun(1);
    await orders("o-1").place({ quantity: 1 });
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "completed", result: 1 });
  });

  test("a saga that is cancelled while it waits is undone; a match that throws fails the wait, and so does an entity of another service", async () => {
    const stranger = entity("stranger", { initial: () => ({}), events: { seen: z.object({}) } })
      .evolve({ seen: (state) => state })
      .commands({});
    const {
      order: orders,
      script,
      begun,
    } = await waitingOn(kind, async (s) => {
      if (s.id === "stranger") return s.waitFor(stranger, "stranger.seen");
      return s.waitFor(order, "order.placed", {
        entityId: s.id,
        match: () => {
          throw new Error("no such luck");
        },
      });
    });
    for (const id of ["cancelled", "throws"]) await script.start(id, {});
    await begun(1, "cancelled");
    await script.cancel("cancelled", { reason: "enough" });
    expect(await script.end("cancelled", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "failed" }] });
    await orders("throws").place({ quantity: 1 });
    expect(await script.end("throws", { wait })).toMatchObject({
      status: "compensated",
      error: expect.stringContaining("no such luck") as string,
    });
    await script.start("stranger", {});
    expect(await script.end("stranger", { wait })).toMatchObject({
      status: "compensated",
      error: expect.stringContaining('"stranger" is no part of its service') as string,
    });
  });

  test("hundreds of sagas wait for events of hundreds of orders, and each gets its own", async () => {
    const { order: orders, script } = await waitingOn(kind, async (s) => {
      const placed = await s.waitFor(order, "order.placed", { entityId: s.id });
      const paid = await s.waitFor(order, "order.paid", { match: ({ entityId }: Placed) => entityId === s.id });
      return [placed?.data.quantity, paid?.data.quantity];
    });
    const all = Array.from({ length: 200 }, (_, index) => ({ id: `o-${index}`, quantity: index }));
    await Promise.all(all.map(({ id }) => script.start(id, {})));
    await Promise.all(all.toReversed().map(({ id, quantity }) => orders(id).pay({ quantity })));
    await Promise.all(all.map(({ id, quantity }) => orders(id).place({ quantity })));
    const ends = await Promise.all(all.map(({ id }) => script.end(id, { wait })));
    expect(ends.map(({ result }) => result)).toEqual(all.map(({ quantity }) => [quantity, quantity]));
  }, 30_000);
});

describe.each(storeKinds.filter(({ severalProcesses }) => severalProcesses))("$name, by several processes", (kind) => {
  test("an event that another process has appended is found, however often the waits change meanwhile", async () => {
    const run = async (s: SagaScope): Promise<number> => {
      let sum = 0;
      for (let count = 0; count < 3; count++) {
        sum += (await s.waitFor(order, "order.placed", { entityId: s.id }))?.data.quantity ?? 0;
        sum += (await s.waitFor(order, "order.paid", { entityId: s.id }))?.data.quantity ?? 0;
      }
      return sum;
    };
    const here = await waitingOn(kind, run);
    const there = await waitingOn(kind, run, here.place);
    const ids = Array.from({ length: 10 }, (_, index) => `o-${index}`);
    await Promise.all(ids.map((id) => here.script.start(id, {})));
    const ends = ids.map((id) => here.script.end(id, { wait }));
    for (let count = 0; count < 3; count++)
      await Promise.all(
        ids.map(async (id) => {
          await there.order(id).pay({ quantity: 10 });
          await there.order(id).place({ quantity: 1 });
        }),
      );
    expect((await Promise.all(ends)).map(({ result }) => result)).toEqual(ids.map(() => 33));
  }, 60_000);
});

test("of a person who is forgotten nothing stays in a saga that was told of them, and it goes on", async () => {
  const place = newPlace();
  const kind = storeKind("sqlite");
  const customer = entity("customer", {
    initial: () => ({}),
    events: {
      registered: event(z.object({ id: z.string(), name: z.string() }), {
        personal: { person: ({ id }) => id, fields: { name: "forgotten" } },
      }),
    },
  })
    .evolve({ registered: (state) => state })
    .commands({ register: command(z.object({ id: z.string(), name: z.string() }), (_, input, emit) => emit.registered(input)) });
  const welcome = saga("welcome", { input: z.object({}) }, async (s) => {
    const registered = await s.waitFor(customer, "customer.registered");
    await s.signal("go");
    return registered?.data.name;
  });
  const start = () => service("orders", { parts: { customer, welcome } }).start({ store: kind.driver(place) });
  const first = await start();
  await first.welcome.start("w-1", {});
  await first.customer("ada").register({ id: "ada", name: "Ada Lovelace" });
  await expect.poll(async () => (await first.welcome.get("w-1")).steps.length, { timeout: 10_000 }).toBe(2);
  expect(JSON.stringify(await first.welcome.get("w-1"))).not.toContain("Lovelace");
  await first.forget("ada", { reason: "she asked" });
  await first.stop();
  const second = await start();
  onTestFinished(() => second.stop());
  await second.welcome.signal("w-1", "go");
  expect(await second.welcome.end("w-1", { wait })).toMatchObject({ status: "completed", result: "forgotten" });
}, 30_000);
