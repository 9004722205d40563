// Forgotten persons have the same values in the fields that were theirs. Where a view keeps such a field unique, they share it.
import { accepted, command, entity, event, service, type StoreDriver, view } from "convergent";
import { memory } from "convergent/memory";
import { sqlite } from "convergent/sqlite";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace } from "../stores/store-kinds.ts";

const Registered = z.object({
  member: z.string(),
  email: z.string(),
  seat: z.number(),
  home: z.object({ street: z.string() }),
  born: z.number(),
});
const member = entity("member", {
  initial: () => 0,
  events: {
    registered: event(Registered, {
      personal: { person: (data) => data.member, fields: { email: "forgotten", seat: 0, home: { street: "nowhere" }, born: 7 } },
    }),
    noted: z.object({ note: z.string() }),
  },
})
  .evolve({ registered: (count) => count + 1, noted: (count) => count + 1 })
  .commands({
    register: command(Registered, (_, input, emit) => emit.registered(input)),
    note: command(z.object({ note: z.string() }), (_, input, emit) => emit.noted(input)),
  });

function directory(version: number) {
  return view("directory", {
    from: [member],
    document: z.object({ mail: z.string(), seat: z.number(), street: z.string(), notes: z.number() }),
    key: ({ entityId }) => entityId,
    consistency: "strong",
    unique: ["mail", "seat", "street"],
    version,
  }).on({
    "member.registered": (_, { data }) => ({ mail: data.email, seat: data.seat, street: data.home.street, notes: 0 }),
    "member.noted": (document, _event) => document && { ...document, notes: document.notes + 1 },
  });
}

async function start(store: StoreDriver, version: number) {
  const running = await service("members", { parts: { member, directory: directory(version) } }).start({ store });
  onTestFinished(() => running.stop());
  const register = (id: string, seat: number, mail = `${id}@x`, street = id) =>
    running.member(id).register({ member: id, email: mail, seat, home: { street }, born: 1990 });
  const forget = (id: string) => running.forget(id, { reason: "asked for", actor: "test" });
  return { ...running, register, forget };
}

const forgotten = { mail: "forgotten", seat: 0, street: "nowhere" };
const taken = (field: string) => ({ kind: "rejected", unique: { view: "directory", field } });

describe.each([
  ["memory", () => memory()],
  ["sqlite", () => sqlite(join(newPlace(), "members.db"))],
] as const)("%s", (_, open) => {
  test("any number of forgotten persons share what their unique fields read as, also in the versions to come", async () => {
    const store = open();
    const first = await start(store, 1);
    for (const [index, id] of ["ada", "bob", "eve"].entries()) accepted(await first.register(id, index + 1));
    for (const id of ["ada", "bob"]) await first.forget(id);
    expect((await first.directory.get("ada")).value).toEqual({ ...forgotten, notes: 0 });
    for (const id of ["ada", "bob", "eve"]) accepted(await first.member(id).note({ note: "still here" }));
    await first.stop();
    const second = await start(store, 2);
    expect((await second.directory.get("bob")).value).toEqual({ ...forgotten, notes: 1 });
    accepted(await second.member("bob").note({ note: "and here" }));
    await second.forget("eve");
    await second.stop();
    const third = await start(store, 3);
    expect((await third.directory.count({})).value).toBe(3);
    expect((await third.directory.get("bob")).value).toEqual({ ...forgotten, notes: 2 });
  });

  test("what belonged to a forgotten person may be taken, and the values of all others are as unique as before", async () => {
    const running = await start(open(), 1);
    accepted(await running.register("ada", 1));
    accepted(await running.register("bob", 2));
    await running.forget("ada");
    expect(await running.register("mia", 3, "bob@x")).toMatchObject(taken("mail"));
    expect(await running.register("mia", 2)).toMatchObject(taken("seat"));
    accepted(await running.register("mia", 1, "ada@x", "ada"));
    expect((await running.directory.find({ mail: "ada@x" })).value.map(({ key }) => key)).toEqual(["mia"]);
    expect((await running.directory.find({ mail: null as never })).value.map(({ key }) => key)).toEqual(["ada"]);
  });

  test("numbers that other fields read as are unique as ever", async () => {
    const running = await start(open(), 1);
    accepted(await running.register("ada", 7));
    expect(await running.register("bob", 7)).toMatchObject(taken("seat"));
  });
});
