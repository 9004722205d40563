// `convergent forget`, beside nothing and beside a running service.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { customers, registered } from "./customers.ts";

const program = resolve(import.meta.dirname, "../../../packages/server/src/cli/main.ts");

function convergent(...args: readonly string[]): Promise<{ readonly out: string; readonly failed: boolean }> {
  return new Promise((done) =>
    execFile(process.execPath, ["--conditions=convergent-source", program, ...args], (error, out, complaint) =>
      done({ out: out + complaint, failed: error !== null }),
    ),
  );
}

test("a person is forgotten by command beside a running service, whose memory and views follow", async () => {
  const place = mkdtempSync(join(tmpdir(), "convergent-persons-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const path = join(place, "store.db");
  const running = await customers.start({ store: sqlite(path) });
  onTestFinished(() => running.stop());
  await registered(running);
  const { out } = await convergent("forget", "ada", "--store", path, "--reason", "she asked", "--actor", "clerk");
  expect(out).toMatch(/^"ada" is forgotten, as \S{22} at position 6: the key is destroyed/);
  expect((await running.customer.state("ada")).state).toMatchObject({ name: "forgotten" });
  await expect.poll(async () => (await running.contacts.get("ada")).value?.name, { timeout: 20_000 }).toBe("forgotten");
  await expect.poll(async () => (await running.everybody.get("all")).value?.names, { timeout: 20_000 }).toEqual(["forgotten", "Bob"]);
  expect((await convergent("forget", "ada", "--store", path, "--reason", "again")).out).toMatch(/^"ada" was forgotten before/);
  const unknown = await convergent("forget", "adda", "--store", path, "--reason", "a slip");
  expect([unknown.failed, unknown.out]).toEqual([true, expect.stringMatching(/no data of "adda" was ever sealed[\s\S]*nothing was done/)]);
  expect((await convergent("forget", "adda", "--store", path, "--reason", "no slip", "--force")).out).toMatch(/^"adda" is forgotten/);
  const unreasoned = await convergent("forget", "bob", "--store", path);
  expect([unreasoned.failed, unreasoned.out]).toEqual([true, expect.stringMatching(/--reason/)]);
}, 60_000);
