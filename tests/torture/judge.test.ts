// The judge before stores of a bank that went well, and the same ones with something missing.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { accepted } from "convergent";
import type { HistoryRecord } from "convergent/simulator";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { bank } from "../simulations/bank.ts";
import { judge } from "./judge.ts";

const asked = { kind: "invoke", session: "s", what: "command", name: "account", command: "open" } as const;

/** A store with a sending that was received, and the history of whoever opened the first account: they were answered. */
async function settled(): Promise<{ path: string; history: HistoryRecord[] }> {
  const folder = mkdtempSync(join(tmpdir(), "convergent-judge-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "bank.db");
  const running = await bank({ life: 1, server: 0, fails: () => false }).start({ store: sqlite(path) });
  const opened = accepted(await running.account("a").open({ owner: "ada" }, { id: "i1", actor: "s" }));
  await running.account("b").open({ owner: "bob" }, { id: "i2", actor: "s" });
  await running.account("a").deposit({ amount: 5 });
  await running.account("a").send({ to: "b", amount: 3 });
  while ((await running.account.state("b")).version < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  await running.stop();
  const events = opened.events.map(({ id, version, position }) => ({ id, type: "account.opened", version, position }));
  return {
    path,
    history: [
      { kind: "lineage", t: 0, store: "bank", lineage: 0, kept: 0 },
      { ...asked, t: 1, op: 1, key: "a", id: "i1" },
      { kind: "ok", what: "command", t: 2, op: 1, state: opened.state, version: 1, events, repeated: false },
      { ...asked, t: 3, op: 2, key: "b", id: "i2" },
      { ...asked, t: 4, op: 3, key: "c", id: "i3" },
    ],
  };
}

function change(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  try {
    expect(database.prepare(sql).run().changes).toBe(1);
  } finally {
    database.close();
  }
}

const options = { complaints: [], now: () => 9 };

test("nothing is found where nothing is wrong, and of unknown outcomes is known what became of them", async () => {
  const { path, history } = await settled();
  expect(await judge(history, { store: "sqlite", path }, options)).toEqual({ violations: [], unknown: { took: 1, tookNot: 1 }, events: 5 });
  expect(new Set(history.map(({ kind }) => kind))).toEqual(new Set(["lineage", "invoke", "ok", "held", "event", "id", "epochs"]));
});

test.each([
  { name: "an acknowledged append", sql: "DELETE FROM convergent_events WHERE position = 1", finds: "acknowledged" },
  { name: "a receipt", sql: "DELETE FROM convergent_events WHERE position = 5", finds: "money" },
  { name: "the id of an acknowledged append", sql: "DELETE FROM convergent_ids WHERE id = 'i1'", finds: "ids" },
  { name: "a document", sql: "DELETE FROM convergent_documents WHERE view = 'statement' AND key = 'a'", finds: "folds" },
])("$name that is missing is found", async ({ sql, finds }) => {
  const { path, history } = await settled();
  change(path, sql);
  expect((await judge(history, { store: "sqlite", path }, options)).violations.map(({ checker }) => checker)).toContain(finds);
});

test("what was complained about is found, also when the store cannot be read", async () => {
  const { path, history } = await settled();
  const complaints = [{ checker: "complaints", message: "it ended by itself" }];
  expect((await judge(history, { store: "sqlite", path }, { ...options, complaints })).violations).toEqual(complaints);
  change(path, "UPDATE convergent_store SET name = 'other'");
  expect((await judge(history, { store: "sqlite", path }, { ...options, complaints })).violations.map(({ checker }) => checker)).toEqual([
    "complaints",
    "store",
  ]);
});
