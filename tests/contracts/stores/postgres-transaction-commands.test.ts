// Commands in a transaction of the user's own: decided when they are staged, and refused by the COMMIT when that no longer holds.
import { basename } from "node:path";
import { accepted, command, entity, merge, reject, service } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { codeOf } from "./log-questions.ts";
import { newPlace, testDatabase } from "./store-kinds.ts";
import { inTransaction } from "./user-transactions.ts";

const Form = z.object({ name: z.string(), city: z.string() });

const form = entity("form", { initial: () => ({ name: "", city: "" }), events: { filled: Form } })
  .evolve({ filled: (_, data) => data })
  .commands({
    enter: command(Form, (state, input, emit) => (input.name === "" ? reject("no name") : emit.filled(input))),
    correct: command(Form, (_, input, emit) => emit.filled(input), { onConflict: merge({ of: (state) => state }) }),
  });
const forms = service("forms", { parts: { form } });

async function opened() {
  const place = newPlace();
  const running = await forms.start({ store: postgres(testDatabase(), { schema: basename(place), directory: place }) });
  onTestFinished(() => running.stop());
  const client = new pg.Client({ connectionString: testDatabase() });
  await client.connect();
  onTestFinished(() => client.end());
  return { running, client };
}

const ann = { name: "ann", city: "Bonn" };

test("a command takes effect with the transaction, and its answer carries a token that reads honour", async () => {
  const { running, client } = await opened();
  const staged = await inTransaction(client, async () => {
    const one = await running.form.stage("f-1", client).enter(ann, { id: "r-1", actor: "ann" });
    expect(await codeOf(running.form.state("f-1"))).toBe("entity_not_found");
    return one;
  });
  if (staged.kind !== "staged") throw new Error(staged.kind);
  const { token } = await staged.result();
  expect(await running.waitFor(token)).toBe(true);
  expect(await running.form.state("f-1")).toMatchObject({ state: ann, version: 1 });
  expect((await running.form.events("f-1"))[0]?.metadata).toEqual({ cause: "r-1", actor: "ann" });
  expect(await running.form("f-1").enter(ann, { id: "r-1", actor: "ann" })).toMatchObject({ kind: "accepted", repeated: true });
});

test("a refusal and a conflict are values, and leave nothing in the transaction", async () => {
  const { running, client } = await opened();
  accepted(await running.form("f-1").enter(ann));
  await inTransaction(client, async () => {
    const form1 = running.form.stage("f-1", client);
    expect(await form1.enter({ name: "", city: "" })).toEqual({ kind: "rejected", reason: "no name" });
    expect(await form1.enter(ann, { expected: "none" })).toMatchObject({ kind: "conflict", version: 1, state: ann });
  });
  expect(await running.form.events("f-1")).toHaveLength(1);
});

test("an entity that has changed by the time of the commit refuses it", async () => {
  const { running, client } = await opened();
  const late = inTransaction(client, async () => {
    await running.form.stage("f-1", client).enter(ann);
    accepted(await running.form("f-1").enter({ ...ann, city: "Kiel" }));
  });
  expect(await codeOf(late)).toBe("version_conflict");
  expect(await running.form.state("f-1")).toMatchObject({ state: { city: "Kiel" }, version: 1 });
});

test("an id that took effect is told when the command is staged, with the first result", async () => {
  const { running, client } = await opened();
  const first = accepted(await running.form("f-1").enter(ann, { id: "r-1" }));
  await inTransaction(client, async () => {
    const again = running.form.stage("f-1", client).enter(ann, { id: "r-1" });
    await expect(again).rejects.toMatchObject({ code: "already_done", details: { lastVersion: 1, token: first.token.toString() } });
  });
});

test("a merge is made of what is committed when the command is staged", async () => {
  const { running, client } = await opened();
  accepted(await running.form("f-1").enter(ann));
  accepted(await running.form("f-1").enter({ ...ann, city: "Kiel" }));
  await inTransaction(client, () => running.form.stage("f-1", client).correct({ name: "eve", city: "Bonn" }, { expected: 1 }));
  expect(await running.form.state("f-1")).toMatchObject({ state: { name: "eve", city: "Kiel" }, version: 3 });
});
