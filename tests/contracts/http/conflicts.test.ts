// HTTP contract: what 412 says, and how a conflict is met: by the command's own policy, or as `Prefer: on-conflict` asks.
import type { wire } from "convergent";
import { expect, test } from "vitest";
import { blank, type Form } from "../conflicts/forms.ts";
import { startForms } from "./form-service.ts";
import { send } from "./order-service.ts";

interface Saved {
  readonly status: number;
  readonly headers: Headers;
  readonly body: wire.CommandBody & wire.ConflictBody & { readonly code: string };
}

/** Two people have read the form at version 1; the other one has saved first. */
async function twoPeople(theirs: Partial<Form>) {
  const { gateway } = await startForms();
  const save = async (change: Partial<Form>, headers: Record<string, string> = {}, name = "save"): Promise<Saved> =>
    (await send(gateway, "POST", `/entities/form/f-1/${name}`, { body: { ...blank, ...change }, headers })) as unknown as Saved;
  const tag = (await save({})).headers.get("etag")!;
  const second = await save(theirs, { "Convergent-Actor": "eve" });
  return { save, tag, second };
}

test("412 says what was expected, what the entity was and is, the events between and the fields that differ", async () => {
  const { save, tag, second } = await twoPeople({ title: "Green tea" });
  const { status, headers, body } = await save({ text: "cold" }, { "If-Match": tag }, "overwrite");
  expect(status).toBe(412);
  expect(headers.get("etag")).toBe(second.headers.get("etag"));
  expect(body).toMatchObject({ code: "version_conflict", version: 2, expected: 1, state: { ...blank, title: "Green tea" }, base: blank });
  expect(body.changed).toEqual(second.body.events.map((event) => ({ ...event, metadata: { actor: "eve" } })));
  expect(body.fields).toEqual([{ field: "title", base: "Tea", theirs: "Green tea", conflicting: true }]);
  expect([body.mergeable, "more" in body, headers.get("preference-applied")]).toEqual([false, false, null]);
});

test("a merge is answered like any other success, and says what others had changed", async () => {
  const { save, tag } = await twoPeople({ title: "Green tea" });
  const { status, headers, body } = await save({ text: "cold", title: "Tea" }, { "If-Match": tag });
  expect(status).toBe(200);
  expect(body).toMatchObject({ version: 3, state: { ...blank, title: "Green tea", text: "cold" } });
  expect(body.merged).toEqual([{ field: "title", base: "Tea", theirs: "Green tea", ours: "Tea", merged: "Green tea", conflicting: false }]);
  expect(headers.get("etag")).toBe(tag.replace(".1", ".3"));
});

test("fields that both changed are 412 with base, theirs and ours, and the others with what they would be", async () => {
  const { save, tag } = await twoPeople({ title: "Green tea", note: "new" });
  const { status, body } = await save({ title: "Black tea" }, { "If-Match": tag });
  expect([status, body.mergeable]).toEqual([412, true]);
  expect(body.fields).toEqual([
    { field: "title", base: "Tea", theirs: "Green tea", ours: "Black tea", conflicting: true },
    { field: "note", theirs: "new", merged: "new", conflicting: false },
  ]);
});

test("Prefer: on-conflict asks for another policy and is echoed, whatever comes of it", async () => {
  const { save, tag } = await twoPeople({ title: "Green tea" });
  const rejected = await save({ text: "cold" }, { "If-Match": tag, Prefer: "on-conflict=reject" });
  expect([rejected.status, rejected.headers.get("preference-applied")]).toEqual([412, "on-conflict=reject"]);
  expect(rejected.body.fields).toMatchObject([{ field: "title", merged: "Green tea", conflicting: false }]);
  const retried = await save({ text: "cold" }, { "If-Match": tag, Prefer: 'wait=1, on-conflict="retry"' }, "overwrite");
  expect([retried.status, retried.headers.get("preference-applied")]).toEqual([200, "wait=1, on-conflict=retry"]);
  expect(retried.body.state).toEqual({ ...blank, text: "cold" });
  expect(retried.body).not.toHaveProperty("merged");
});

test("a merge where none is declared is 400, and a policy that nobody knows is ignored", async () => {
  const { save, tag } = await twoPeople({ title: "Green tea" });
  const undeclared = await save({}, { "If-Match": tag, Prefer: "on-conflict=merge" }, "overwrite");
  expect([undeclared.status, undeclared.body.code]).toEqual([400, "invalid_input"]);
  const unknown = await save({ text: "cold" }, { "If-Match": tag, Prefer: "on-conflict=shout" });
  expect([unknown.status, unknown.headers.get("preference-applied")]).toEqual([200, null]);
});

test("a tag of another history is 412 without a base, whatever the policy but retry", async () => {
  const { save } = await twoPeople({ title: "Green tea" });
  const headers = { "If-Match": '"otherepoch01.1"' };
  const { status, body } = await save({ text: "cold" }, headers);
  expect(status).toBe(412);
  expect(body).toMatchObject({ version: 2, changed: [], fields: [], mergeable: false });
  expect(Object.keys(body)).not.toEqual(expect.arrayContaining(["expected"]));
  expect(body).not.toHaveProperty("base");
  expect((await save({ text: "cold" }, { ...headers, Prefer: "on-conflict=retry" })).status).toBe(200);
});

test("If-None-Match: * that is not met tells what was created meanwhile, and merges with it", async () => {
  const { save } = await twoPeople({ title: "Green tea" });
  const created = await save({}, { "If-None-Match": "*", Prefer: "on-conflict=reject" });
  expect(created.body).toMatchObject({ expected: "none", base: { title: "" }, changed: [{ version: 1 }, { version: 2 }] });
  expect((await save({ title: "Green tea" }, { "If-None-Match": "*" })).status).toBe(200);
});

test("the same key gets the answer of the merge again, with what was merged", async () => {
  const { save, tag } = await twoPeople({ title: "Green tea" });
  const headers = { "If-Match": tag, "Idempotency-Key": "k-1" };
  const first = await save({ text: "cold" }, headers);
  await save({ title: "White tea" });
  const again = await save({ text: "cold" }, headers);
  expect([again.status, again.body.repeated, again.body.version]).toEqual([200, true, 3]);
  expect([again.body.state, again.body.merged, again.body.events]).toEqual([first.body.state, first.body.merged, first.body.events]);
});
