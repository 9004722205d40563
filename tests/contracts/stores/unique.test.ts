// Uniqueness across entities by a strong view: on both stores, within a batch, between processes, and of what was there before.
import {
  accepted,
  command,
  type Conflict,
  entity,
  reaction,
  type Rejected,
  type RunningService,
  runtimeOf,
  service,
  type StoreDriver,
  view,
} from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "./store-kinds.ts";

const Profile = z.object({ email: z.string().nullable().optional(), seat: z.number().optional() });
const account = entity("account", { initial: () => ({ known: false }), events: { changed: Profile, closed: z.object({}) } })
  .evolve({ changed: () => ({ known: true }), closed: () => ({ known: false }) })
  .commands({
    change: command(Profile, (_, input, emit) => emit.changed(input)),
    changeTwice: command(z.array(Profile), (_, input, emit) => input.map((each) => emit.changed(each))),
    close: command(z.object({}), (_state, _input, emit) => emit.closed({})),
  });

function directory(options: { unique?: boolean } = {}) {
  return view("directory", {
    from: [account],
    document: Profile,
    key: (event) => event.entityId,
    consistency: "strong",
    unique: options.unique === false ? [] : ["email", "seat"],
  }).on({ "account.changed": (_, event) => event.data, "account.closed": () => undefined });
}

const withView = service("accounts", { parts: { account, directory: directory() } });
const without = service("accounts", { parts: { account } });
const taken = (field: string) => ({
  kind: "rejected",
  reason: `the "${field}" is taken: it is unique in the view "directory"`,
  unique: { view: "directory", field },
});

async function start(driver: StoreDriver): Promise<RunningService<(typeof withView)["parts"]>> {
  const running = await withView.start({ store: driver });
  onTestFinished(() => running.stop());
  return running;
}

describe.each(storeKinds)("$name", (kind) => {
  test("a value is taken until it is given up; null and absent are never in conflict; a refusal names neither value nor owner", async () => {
    const running = await start(kind.driver(newPlace()));
    const change = (id: string, input: z.input<typeof Profile>) => running.account(id).change(input);
    accepted(await change("ada", { email: "a@x", seat: 1 }));
    const refused = (await change("bob", { email: "a@x", seat: 2 })) as Rejected;
    expect(refused).toEqual(taken("email"));
    expect(JSON.stringify(refused)).not.toMatch(/a@x|ada/);
    expect(await change("bob", { email: "b@x", seat: 1 })).toEqual(taken("seat"));
    accepted(await change("bob", { email: "b@x", seat: 2 }));
    accepted(await change("ada", { email: "a@x", seat: 3 })); // its own value is no conflict
    accepted(await change("eve", { email: null }));
    accepted(await change("mia", { email: null }));
    accepted(await change("zoe", {}));
    expect(await change("bob", { email: "a@x" })).toEqual(taken("email"));
    accepted(await running.account("ada").close({}));
    accepted(await change("bob", { email: "a@x" }));
    expect(await change("ada", { email: "a@x" })).toEqual(taken("email"));
    expect((await running.directory.find({ email: "a@x" })).value.map(({ key }) => key)).toEqual(["bob"]);
    expect((await running.directory.get("ada")).value).toBeUndefined();
  });

  test("of many who claim one value at once one gets it; the others' appends are refused alone and leave no gap", async () => {
    const running = await start(kind.driver(newPlace()));
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, n) => running.account(`n${n}`).change({ email: n % 2 === 0 ? "same@x" : `${n}@x` })),
    );
    const refused = outcomes.filter((outcome) => outcome.kind === "rejected");
    expect(refused).toHaveLength(19);
    expect(refused.every((outcome) => outcome.unique?.field === "email")).toBe(true);
    const { log } = runtimeOf(running);
    expect((await log.read({ after: 0 as never, limit: 100 })).events.map((event) => event.position)).toEqual(
      Array.from({ length: 21 }, (_, n) => n + 1),
    );
    expect((await running.directory.count({ email: "same@x" })).value).toBe(1);
  });

  test("within one batch a value that was given up may be taken; where an append leads is judged, not the way there", async () => {
    const running = await start(kind.driver(newPlace()));
    accepted(await running.account("ada").change({ email: "a@x" }));
    accepted(await running.account("bob").change({ email: "b@x" }));
    const [moved, took] = await Promise.all([
      running.account("ada").change({ email: "c@x" }),
      running.account("eve").change({ email: "a@x" }),
    ]);
    expect([moved.kind, took.kind]).toEqual(["accepted", "accepted"]);
    accepted(await running.account("bob").changeTwice([{ email: "a@x" }, { email: "b2@x" }]));
    const { log } = runtimeOf(running);
    const rows = await log.snapshot((tx) => tx.duplicate({ view: "directory", version: 1, field: "email", where: [] }));
    expect(rows).toBeUndefined();
  });

  test("building over documents that have the same value already fails the start and names them; past duplicates do not matter", async () => {
    const driver = kind.driver(newPlace());
    const before = await without.start({ store: driver });
    await before.account("ada").change({ email: "a@x" });
    await before.account("bob").change({ email: "a@x" });
    await before.account("eve").change({ email: "e@x" });
    await before.stop();
    await expect(withView.start({ store: driver })).rejects.toMatchObject({
      code: "unique_violated",
      message: expect.stringContaining('the documents "ada" and "bob" of the view "directory"') as string,
      details: { view: "directory", field: "email", keys: ["ada", "bob"] },
    });
    const mending = await without.start({ store: driver });
    accepted(await mending.account("bob").change({ email: "b@x" }));
    await mending.stop();
    const running = await start(driver);
    expect(await running.account("bob").change({ email: "a@x" })).toEqual(taken("email"));
  });

  test("a reaction's command is refused like anybody's", async () => {
    const invite = reaction("invite", { from: [account], to: { account } }).on({
      "account.closed": (event, { commands }) => commands.account(`${event.entityId}-heir`).change({ email: "a@x" }),
    });
    const refusals: unknown[] = [];
    const running = await service("accounts", { parts: { account, directory: directory(), invite } }).start({
      store: kind.driver(newPlace()),
      onRefusal: (refusal) => refusals.push(refusal),
    });
    onTestFinished(() => running.stop());
    accepted(await running.account("ada").change({ email: "a@x" }));
    accepted(await running.account("bob").change({}));
    await running.account("bob").close({});
    await expect.poll(() => refusals, { timeout: 5000 }).toMatchObject([{ command: "change", entityId: "bob-heir" }]);
  });
});

describe.each(storeKinds.filter((each) => each.severalProcesses))("$name, opened several times", (kind) => {
  test("of claims by two processes at once one wins", async () => {
    const place = newPlace();
    const both = [await start(kind.driver(place)), await start(kind.driver(place))] as const;
    for (let round = 0; round < 10; round++) {
      const outcomes: ReadonlyArray<{ kind: string } | Conflict<unknown>> = await Promise.all(
        both.flatMap((running, index) => [0, 1, 2].map((n) => running.account(`${round}-${index}-${n}`).change({ email: `${round}@x` }))),
      );
      expect(outcomes.map(({ kind: said }) => said).sort()).toEqual(["accepted", ...Array.from({ length: 5 }, () => "rejected")]);
    }
    expect((await both[0].directory.count({})).value).toBe(10);
  });
});

test("only a strong view can keep a field unique", () => {
  expect(() => view("directory", { from: [account], document: Profile, key: (event) => event.entityId, unique: ["email"] })).toThrow(
    expect.objectContaining({ code: "definition_invalid" }) as Error,
  );
});
