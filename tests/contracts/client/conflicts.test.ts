// Conflicts through the client on a real gateway: two agents on one form; the second merges, chooses, or leaves it.
import { accepted, type Client, connect, type RemoteOutcome, redo } from "convergent/client";
import { nodeHost } from "convergent/node";
import { expect, test } from "vitest";
import { blank, type Form, type forms } from "../conflicts/forms.ts";
import { startForms } from "../http/form-service.ts";

async function twoAgents() {
  const { gateway, running } = await startForms();
  const agent = (): Client<typeof forms> =>
    connect<typeof forms>("http://localhost", {
      host: {
        ...nodeHost(),
        network: {
          request: async ({ url, method, headers, body }) => {
            const answer = await gateway.fetch(new Request(url, { method, headers, ...(body === undefined ? {} : { body }) }));
            return { status: answer.status, header: (name) => answer.headers.get(name) ?? undefined, body: await answer.text() };
          },
        },
      },
    });
  const [ada, bob] = [agent(), agent()];
  await ada.form("f-1").save(blank, { expected: "none" });
  return { ada: ada.form("f-1"), bob: bob.form("f-1"), running };
}

function conflictOf<State>(outcome: RemoteOutcome<State>) {
  if (outcome.kind !== "conflict") throw new Error(`expected a conflict, not ${outcome.kind}`);
  return outcome;
}

test("a conflict over HTTP is the conflict in process: versions, base, events and fields", async () => {
  const { ada, bob, running } = await twoAgents();
  await ada.save({ ...blank, title: "Green tea", note: "new" });
  const input: Form = { ...blank, title: "Black tea" };
  const remote = conflictOf(await bob.save(input, { expected: 1 }));
  expect(remote).toEqual(await running.form("f-1").save(input, { expected: 1 }));
  expect(remote).toMatchObject({ version: 2, expected: 1, base: blank, mergeable: true, changed: [{ version: 2, type: "form.saved" }] });
  expect(remote.fields).toEqual([
    { field: "title", base: "Tea", theirs: "Green tea", ours: "Black tea", conflicting: true },
    { field: "note", theirs: "new", merged: "new", conflicting: false },
  ]);
});

test("what does not touch the same fields is merged, and the answer says what was taken over", async () => {
  const { ada, bob } = await twoAgents();
  await ada.save({ ...blank, title: "Green tea" });
  const outcome = accepted(await bob.save({ ...blank, lines: [{ product: "tea", quantity: 5 }] }, { expected: 1 }));
  expect(outcome.state).toEqual({ ...blank, title: "Green tea", lines: [{ product: "tea", quantity: 5 }] });
  expect(outcome.merged).toMatchObject([{ field: "title", theirs: "Green tea", merged: "Green tea" }]);
});

test("after a conflict the command is done again with a choice for each field, and what the rules merged is kept", async () => {
  const { ada, bob } = await twoAgents();
  const input: Form = { ...blank, title: "Black tea", text: "warm" };
  await ada.save({ ...blank, title: "Green tea", text: "cold", note: "new" });
  const conflict = conflictOf(await bob.save(input, { expected: 1 }));
  const choices = { title: "theirs", text: { value: "lukewarm" } } as const;
  const outcome = accepted(await redo(bob.save, { conflict, input, choices }));
  expect(outcome).toMatchObject({ version: 3, state: { ...blank, title: "Green tea", text: "lukewarm", note: "new" } });
});

test("a conflicting field without a choice is an error that names it, and nothing is sent", async () => {
  const { ada, bob } = await twoAgents();
  const input: Form = { ...blank, title: "Black tea" };
  await ada.save({ ...blank, title: "Green tea" });
  const conflict = conflictOf(await bob.save(input, { expected: 1 }));
  await expect(redo(bob.save, { conflict, input })).rejects.toMatchObject({ code: "invalid_input", details: { fields: ["title"] } });
  await expect(redo(bob.save, { conflict, input, choices: { title: "mine", text: "theirs" } })).rejects.toMatchObject({
    code: "invalid_input",
  });
  expect(accepted(await redo(bob.save, { conflict, input, choices: { title: "mine" } })).state.title).toBe("Black tea");
});

test("what changes again before it is done again is another conflict, and not overwritten", async () => {
  const { ada, bob } = await twoAgents();
  const input: Form = { ...blank, title: "Black tea" };
  await ada.overwrite({ ...blank, title: "Green tea" });
  const conflict = conflictOf(await bob.overwrite(input, { expected: 1 }));
  await ada.overwrite({ ...blank, title: "White tea" });
  const again = conflictOf(await redo(bob.overwrite, { conflict, input }));
  expect(again).toMatchObject({
    version: 3,
    expected: 2,
    mergeable: false,
    fields: [{ field: "title", base: "Green tea", theirs: "White tea" }],
  });
  expect(accepted(await redo(bob.overwrite, { conflict: again, input })).state.title).toBe("Black tea");
});

test("each call may ask for another policy than the command's own", async () => {
  const { ada, bob } = await twoAgents();
  await ada.save({ ...blank, title: "Green tea" });
  const input: Form = { ...blank, text: "cold" };
  expect(await bob.save(input, { expected: 1, onConflict: "reject" })).toMatchObject({
    kind: "conflict",
    fields: [{ conflicting: false }],
  });
  await expect(bob.overwrite(input, { expected: 1, onConflict: "merge" })).rejects.toMatchObject({ code: "invalid_input" });
  expect(accepted(await bob.overwrite(input, { expected: 1, onConflict: "retry" })).state).toEqual(input);
});
