import { command, entity, event, giveUp, merge, reaction, reject, view } from "convergent";
import { given, type PastOf } from "convergent/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const Lines = z.array(z.object({ product: z.string(), quantity: z.number().default(1) }));
const Placed = event(z.object({ customer: z.string(), lines: Lines, gift: z.boolean().default(false) }), {
  upcast: [(old: { who: string }) => ({ customer: old.who, lines: [], gift: false })],
});
const Lined = z.object({ lines: Lines });

const order = entity("order", {
  initial: () => ({ status: "none", customer: "", lines: [] as z.infer<typeof Lines>, gift: false }),
  events: { placed: Placed, amended: Lined, closed: z.object({}) },
  retired: ["shelved"],
})
  .evolve({
    placed: (_, data) => ({ status: "placed", ...data }),
    amended: (state, { lines }) => ({ ...state, lines }),
    closed: (state) => ({ ...state, status: "closed" }),
  })
  .commands({
    place: command(z.object({ customer: z.string(), lines: Lines }), (state, input, emit) =>
      state.status === "none" ? emit.placed(input) : reject("already placed"),
    ),
    amend: command(Lined, (state, input, emit) => (state.status === "placed" ? emit.amended(input) : reject(`it is ${state.status}`))),
    close: command(z.object({}), (state, _, emit) => (state.status === "closed" ? [] : [emit.amended({ lines: [] }), emit.closed({})])),
    spoil: command(z.object({}), () => {
      throw new TypeError("lines is not iterable");
    }),
  });

const placed: PastOf<typeof order> = ["placed", { customer: "ada", lines: [] }];

async function expectMet(checked: Promise<unknown>): Promise<void> {
  await expect(failure(checked)).resolves.toBe("it passed");
}

/** What the promise is rejected with; colours and all there are none. */
async function failure(checked: Promise<unknown>): Promise<string> {
  return checked.then(
    () => "it passed",
    (error: unknown) => {
      expect(Object.getPrototypeOf(error)).toBe(Error.prototype); // a plain one, for any test runner
      return (error as Error).message;
    },
  );
}

test("a command on an entity with a past is held against the events it leads to, defaults of schemas filled in on both sides", async () => {
  await expectMet(
    given(order, [placed])
      .when("amend", { lines: [{ product: "tea" }] })
      .thenEvents(["amended", { lines: [{ product: "tea" }] }]),
  );
  await expectMet(
    given(order, [placed])
      .when("amend", { lines: [{ product: "tea" }] })
      .thenEvents(["amended", { lines: [{ product: "tea", quantity: 1 }] }]),
  );
  await expectMet(
    given(order)
      .when("place", { customer: "ada", lines: [] })
      .thenEvents(["placed", { customer: "ada", lines: [] }])
      .thenState({ status: "placed", customer: "ada", lines: [], gift: false }),
  );
  await expectMet(
    given(order, [placed])
      .when("close", {})
      .thenEvents(["amended", { lines: [] }], ["closed", {}]),
  );
  await expectMet(
    given(order, [placed, ["closed", {}]])
      .when("close", {})
      .thenEvents(),
  );
});

test("what was seen is answered, for whoever wants to look closer", async () => {
  const seen = await given(order, [placed])
    .when("amend", { lines: [{ product: "tea" }] })
    .thenState({ status: "placed", customer: "ada", lines: [{ product: "tea", quantity: 1 }], gift: false });
  expect(seen).toMatchObject({ kind: "accepted", version: 2, state: { customer: "ada" } });
});

test("other events than wanted are told by a diff of data, and a refusal by its reason", async () => {
  const amending = given(order, [placed]).when("amend", { lines: [{ product: "tea", quantity: 2 }] });
  expect(await failure(amending.thenEvents(["amended", { lines: [{ product: "tea", quantity: 3 }] }]))).toBe(
    `order.amend led to other events than wanted (- wanted, + got):

  [
    amended {
      lines: [
        {
          product: "tea"
-         quantity: 3
+         quantity: 2
        }
      ]
    }
  ]`,
  );
  const again = given(order, [placed]).when("place", { customer: "eve", lines: [] });
  expect(await failure(again.thenEvents(["placed", { customer: "eve", lines: [] }]))).toContain(
    'order.place was rejected: "already placed"',
  );
  expect(await failure(again.thenState({ status: "placed", customer: "eve", lines: [], gift: false }))).toContain("was rejected");
});

test("the error points to the line where something was expected", async () => {
  const error: unknown = await given(order)
    .thenState({} as never)
    .catch((reason: unknown) => reason);
  const frames = (error as Error).stack?.split("\n").filter((line) => /^\s+at /.test(line)) ?? [];
  expect(frames.some((frame) => frame.includes("given.test.ts"))).toBe(true);
});

test("a refusal is held against its reason, as text or as a pattern", async () => {
  const again = given(order, [placed]).when("place", { customer: "eve", lines: [] });
  await again.thenRejected("already placed");
  await again.thenRejected(/already/);
  await again.thenRejected();
  expect(await failure(again.thenRejected("it is closed"))).toBe(
    `order.place was rejected for another reason than wanted (- wanted, + got):

- "it is closed"
+ "already placed"`,
  );
  const first = given(order).when("place", { customer: "eve", lines: [] });
  expect(await failure(first.thenRejected())).toContain("order.place was to be rejected, and led to events");
  expect(await failure(first.thenRejected())).toContain('customer: "eve"');
});

test("an entity's past alone leads to a state", async () => {
  await expectMet(given(order, [placed, ["closed", {}]]).thenState({ status: "closed", customer: "ada", lines: [], gift: false }));
  await expectMet(given(order).thenState({ status: "none", customer: "", lines: [], gift: false }));
  expect(await failure(given(order, [placed]).thenState({ status: "closed", customer: "ada", lines: [], gift: false }))).toBe(
    `order is in another state than wanted (- wanted, + got):

  {
    customer: "ada"
    gift: false
    lines: []
-   status: "closed"
+   status: "placed"
  }`,
  );
});

test("events of older versions are brought up to date, and retired ones are passed over", async () => {
  await expectMet(
    given(order, [
      ["placed", { who: "ada" }, { version: 1 }],
      ["shelved", { reason: "?" }, { version: 1 }],
    ])
      .when("close", {})
      .thenState({ status: "closed", customer: "ada", lines: [], gift: false }),
  );
});

test("an expectation of the caller that is not met is a conflict, or is decided again", async () => {
  const amending = { lines: [{ product: "tea" }] };
  await expectMet(given(order, [placed]).when("amend", amending, { expected: "none" }).thenConflict());
  await expectMet(
    given(order, [placed]).when("amend", amending, { expected: "none", onConflict: "retry" }).thenEvents(["amended", amending]),
  );
  expect(await failure(given(order, [placed]).when("amend", amending, { expected: 1 }).thenConflict())).toContain(
    "order.amend was to meet a conflict, and led to events",
  );
  expect(await failure(given(order, [placed]).when("amend", amending, { expected: 0 }).thenEvents())).toContain(
    "order.amend met a conflict: the entity is at version 1",
  );
});

test("an input that does not meet its schema is an error by code, and so is a fault of the command", async () => {
  const bad = { lines: [{ product: 7 }] } as never;
  await expectMet(given(order, [placed]).when("amend", bad).thenThrows("invalid_input"));
  expect(await failure(given(order, [placed]).when("amend", bad).thenEvents())).toMatch(
    /^order.amend threw invalid_input: the input of order.amend does not meet its schema: lines.0.product/,
  );
  const spoilt = given(order, [placed]).when("spoil", {});
  expect(await failure(spoilt.thenEvents())).toBe("order.spoil threw TypeError: lines is not iterable");
  await spoilt.thenThrows(/not iterable/);
  expect(await failure(given(order, [placed]).when("close", {}).thenThrows("invalid_input"))).toContain("was to throw, and led to events");
});

test("a past that could not be is refused", async () => {
  expect(await failure(given(order, [["placed", { customer: 7 } as never]]).thenState({} as never))).toContain(
    "the event order.placed that is given does not meet its schema: customer",
  );
  expect(await failure(given(order, [["shipped", {}] as never]).thenState({} as never))).toContain(
    'order has no event "shipped"; it has placed, amended, closed',
  );
  expect(await failure(given(order, [["placed", {}, { version: 3 }]]).thenState({} as never))).toContain("versions 1 to 2");
  expect(() => given(reaction("note", { from: [order], to: {} }).on({}) as never)).toThrow('given("note"): give an entity or a view');
});

const Summary = z.object({ customer: z.string(), lines: z.number(), since: z.string(), open: z.boolean().default(true) });
const summary = view("order-summary", { from: [order], document: Summary, key: (event) => event.entityId, indexes: ["customer"] }).on({
  "order.placed": (_, { data, at }) => ({
    customer: data.customer,
    lines: data.lines.length,
    since: new Date(at).toISOString(),
    open: true,
  }),
  "order.amended": (document, { data, entityId }) =>
    document ? { ...document, lines: data.lines.length } : giveUp(`no order ${entityId}`),
  "order.closed": () => undefined,
});

test("a view is held against the documents that events lead to", async () => {
  const open = { customer: "ada", since: "2026-05-01T08:00:00.000Z", open: true };
  await expectMet(
    given(summary, [
      ["order.placed", "o-1", { customer: "ada", lines: [] }, { at: new Date("2026-05-01T08:00:00Z") }],
      ["order.amended", "o-1", { lines: [{ product: "tea" }] }],
    ])
      .thenDocument("o-1", { ...open, lines: 1 })
      .thenDocument("o-2", undefined)
      .thenDocuments({ "o-1": { ...open, lines: 1 } }),
  );
  await expectMet(
    given(summary, [
      ["order.placed", "o-1", { customer: "ada", lines: [] }],
      ["order.closed", "o-1", {}],
    ]).thenDocument("o-1", undefined),
  );
  await expectMet(given(summary).thenDocuments({}));
  await expectMet(
    given(summary, [["order.placed", "o-1", { who: "eve" }, { version: 1, at: 0 }]]).thenDocument("o-1", {
      customer: "eve",
      lines: 0,
      since: "1970-01-01T00:00:00.000Z",
      open: true,
    }),
  );
});

test("another document than wanted is told by a diff, and a missing one by the keys there are", async () => {
  const seen = given(summary, [["order.placed", "o-1", { customer: "ada", lines: [] }, { at: 0 }]]);
  const since = "1970-01-01T00:00:00.000Z";
  expect(await failure(seen.thenDocument("o-1", { customer: "eve", lines: 0, since, open: true }))).toBe(
    `order-summary "o-1" is another document than wanted (- wanted, + got):

  {
-   customer: "eve"
+   customer: "ada"
    lines: 0
    open: true
    since: "1970-01-01T00:00:00.000Z"
  }`,
  );
  expect(await failure(seen.thenDocument("o-2", { customer: "eve", lines: 0, since, open: true }))).toContain(
    'order-summary has no document "o-2"; it has "o-1"',
  );
});

test("a handler that fails is told with its event, and can be what is wanted", async () => {
  const amended = given(summary, [["order.amended", "o-9", { lines: [] }]]);
  expect(await failure(amended.thenDocuments({}))).toBe(
    "order-summary failed at event 1, order.amended of o-9: handler_gave_up: no order o-9",
  );
  await amended.thenFails("no order o-9");
  await amended.thenFails(/no order/);
  expect(await failure(amended.thenFails("something else"))).toContain("failed for another reason");
  expect(await failure(given(summary).thenFails("x"))).toBe("order-summary was to fail, and did not");
});

test("a strong view refuses what is not unique", async () => {
  const owners = view("owners", {
    from: [order],
    document: z.object({ owner: z.string() }),
    key: (event) => event.entityId,
    unique: ["owner"],
    consistency: "strong",
  }).on({ "order.placed": (_, { data }) => ({ owner: data.customer }) });
  await expectMet(
    given(owners, [
      ["order.placed", "o-1", { customer: "ada", lines: [] }],
      ["order.placed", "o-2", { customer: "ada", lines: [] }],
    ]).thenFails(/"owner"/),
  );
});

test("personal data is sealed and opened as in a store", async () => {
  const Named = event(z.object({ id: z.string(), name: z.string() }), { personal: { person: ({ id }) => id, fields: { name: "?" } } });
  const member = entity("member", { initial: () => "", events: { named: Named } })
    .evolve({ named: (_, { name }) => name })
    .commands({ name: command(z.object({ name: z.string() }), (_, { name }, emit) => emit.named({ id: "m-1", name })) });
  await expectMet(
    given(member)
      .when("name", { name: "Ada" })
      .thenEvents(["named", { id: "m-1", name: "Ada" }])
      .thenState("Ada"),
  );
});

test("a merge of what two sides changed is decided by the real policy", async () => {
  const Address = z.object({ street: z.string(), city: z.string() });
  const person = entity("person", { initial: () => ({ street: "", city: "" }), events: { moved: Address } })
    .evolve({ moved: (_, data) => data })
    .commands({
      move: command(Address, (_, input, emit) => emit.moved(input), { onConflict: merge({ of: (state) => state }) }),
    });
  await expectMet(
    given(person, [
      ["moved", { street: "a", city: "b" }],
      ["moved", { street: "x", city: "b" }],
    ])
      .when("move", { street: "a", city: "c" }, { expected: 1 })
      .thenState({ street: "x", city: "c" }),
  );
});
