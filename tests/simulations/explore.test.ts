// What a user calls: many seeds of a service of his own, and the first one that breaks what must hold, made small enough to read.
import { createGateway } from "@convergent/server";
import { command, entity, reaction, reject, service, view } from "convergent";
import { type Actor, explore, faultKinds, simulate } from "convergent/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const Count = z.object({ count: z.number() });

// Tickets, of which those who sell them say how many are left: what they read from a copy.
const event = entity("event", {
  initial: () => ({ printed: 0, sold: 0, left: 0 }),
  events: { printed: Count, sold: z.object({ left: z.number() }) },
})
  .evolve({
    printed: (_, { count }) => ({ printed: count, sold: 0, left: count }),
    sold: (state, { left }) => ({ ...state, sold: state.sold + 1, left }),
  })
  .commands({
    print: command(Count, (state, input, emit) => (state.printed > 0 ? reject("printed already") : emit.printed(input))),
    sell: command(z.object({ left: z.number() }), (_, input, emit) => emit.sold(input)),
  });
const left = view("left", { from: [event], document: Count, key: (each) => each.entityId }).on({
  "event.printed": (_, { data }) => data,
  "event.sold": (_, { data }) => ({ count: data.left }),
});
const tickets = service("tickets", { parts: { event, left } });

async function sellNaively({ client, mark }: Actor<typeof tickets>): Promise<void> {
  await client.event("e").print({ count: 1000 }, { expected: "none" });
  const { value } = await client.left.get("e");
  if (!value) return;
  const outcome = await client.event("e").sell({ left: value.count - 1 });
  if (outcome.kind === "accepted") mark("sold");
}

type Tickets = Awaited<ReturnType<typeof tickets.start>>;

async function countsTickets([running]: readonly Tickets[]): Promise<void> {
  const state = await running?.event.state("e").then(
    (read) => read.state,
    () => undefined, // nobody has printed any
  );
  if (state && state.printed - state.sold !== state.left) throw new Error(`${state.sold} were sold, and ${state.left} are left`);
}

const options = {
  gateway: (services: Parameters<typeof createGateway>[0]) => createGateway(services),
  workload: sellNaively,
  invariants: { "each ticket is counted": countsTickets },
  steps: 1000,
};

test("the first seed that breaks an invariant is thrown, with the way to run it again and what happened", async () => {
  const failed = await explore(tickets, { ...options, seeds: 20 }).catch((error: unknown) => error);
  expect(Object.getPrototypeOf(failed)).toBe(Error.prototype);
  const { message } = failed as Error;
  const seed = /^seed (\d+) of "tickets" breaks what must hold/.exec(message)?.[1];
  expect(message).toMatch(/invariant: each ticket is counted: server-1: Error: \d+ were sold, and \d+ are left/);
  expect(message).toContain(`explore(…, { …, first: ${seed}, seeds: 1 })`);
  expect(message).toMatch(/made smaller in \d+ runs: \d+ steps, \d servers?, 2 clients, faults: /);
  expect(message).toMatch(/ms {2}client-\d asks \d+ event\("e"\)\.sell \{"left":\d+\} with its token/);
  expect(message).toMatch(/is answered \d+ event\("e"\)\.sell: version \d+, positions \d+ \{"printed":1000,"sold":\d+,"left":\d+\}/);
  expect(message).toMatch(/left v1 commits its slots 0–15 at 0/);
  const again = await explore(tickets, { ...options, first: Number(seed), seeds: 1 }).catch((error: unknown) => error);
  expect((again as Error).message.split("\n").slice(1)).toEqual(message.split("\n").slice(1));
});

test("when nothing is broken it says what was run, how often what happened, and what never did", async () => {
  const quiet = { ...options, invariants: {}, faults: { "reply lost": 0.05 } };
  const explored = await explore(tickets, { ...quiet, seeds: 3, sometimes: ["sold"] });
  expect(explored).toMatchObject({ seeds: 3, faults: { "reply lost": expect.any(Number) as number } });
  expect(explored.marks["sold"]).toBeGreaterThan(10);
  expect(explored.steps).toBeGreaterThan(2900);
  await expect(explore(tickets, { ...quiet, seeds: 2, sometimes: ["sold", "sold out"] })).rejects.toThrow(
    '2 seeds of "tickets" hold, and "sold out" never happened in any of them; marks that did: ',
  );
});

test("options that make no sense are refused", async () => {
  await expect(explore(tickets, { ...options, seeds: 0 })).rejects.toThrow("seeds is a whole number from 1 on, not 0");
  await expect(explore(tickets, { ...options, first: 0.5 })).rejects.toThrow("first is a whole number from 0 on, not 0.5");
});

test("what lies outside of the services is made anew for each run, and seen by definitions, clients and invariants", async () => {
  let made = 0;
  const report = await explore(
    ({ outside }) => {
      const note = reaction("note", { from: [event], to: {} }).on({ "event.sold": ({ id }) => void outside.sold.add(id) });
      return service("tickets", { parts: { event, left, note } });
    },
    {
      gateway: options.gateway,
      outside: () => ({ number: ++made, sold: new Set<string>(), asked: 0 }),
      workload: async ({ client, outside }) => {
        outside.asked++;
        await client.event("e").sell({ left: 0 });
      },
      invariants: {
        "each sale is noted": async ([running], { sold, asked }) => {
          const { state } = (await running?.event.state("e")) ?? {};
          if (sold.size < (state?.sold ?? 0) || asked === 0) throw new Error(`${sold.size} of ${state?.sold} sales were noted`);
        },
      },
      faults: { "process crash": 3 },
      steps: 1000,
      seeds: 3,
    },
  );
  expect(report.seeds).toBe(3);
  expect(made).toBe(3);
});

test("a kind of fault that is excepted happens in no run, whatever the seed draws", async () => {
  const except = Object.keys(faultKinds).filter((kind) => kind !== "message delayed") as Array<keyof typeof faultKinds>;
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 6; seed++) {
    const { rates } = await simulate(tickets, { ...options, seed, steps: 200, except });
    for (const kind of Object.keys(rates)) kinds.add(kind);
  }
  expect([...kinds]).toEqual(["message delayed"]);
});
