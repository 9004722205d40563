// A process is killed between the steps of forgetting a person: whichever it was, the next start goes on, and nothing of the person is left.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepted, crashPoints, eventDigest, runtimeOf } from "convergent";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { customers, secrets } from "./customers.ts";

const points = crashPoints.filter((point) => point.startsWith("forget."));

function killedAt(path: string, point: string): Promise<string | null> {
  const program = join(import.meta.dirname, "forgetting-process.ts");
  const child = spawn(process.execPath, ["--conditions=convergent-source", program, path, point], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return new Promise((resolve) => child.on("close", (_, signal) => resolve(signal)));
}

test.each(points)("a process that is killed at %s has asked for something that happens", async (point) => {
  const place = mkdtempSync(join(tmpdir(), "convergent-persons-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const path = join(place, "store.db");
  expect(await killedAt(path, point)).toBe("SIGKILL");

  const running = await customers.start({ store: sqlite(path) });
  onTestFinished(() => running.stop());
  const { log } = runtimeOf(running);
  const head = (await log.head()).position;
  expect(await running.waitFor(await log.tokenAt(head), "30s")).toBe(true);
  expect((await running.customer.state("ada")).state).toEqual({ name: "forgotten", street: "forgotten", notes: 2 });
  expect((await running.contacts.get("ada")).value).toEqual({ name: "forgotten", street: "forgotten", notes: 2 });
  expect((await running.everybody.get("all")).value).toEqual({ names: ["forgotten", "Bob"] });
  const events = await log.snapshot((tx) => tx.events({ after: 0 as never, upTo: head, limit: 1000 }));
  for (const event of events) expect(event.digest).toBe(eventDigest(event));
  expect(events.filter(({ type }) => type === "$person.forgotten")).toMatchObject([
    { data: '{"reason":"she asked"}', metadata: '{"actor":"clerk"}' },
  ]);
  expect(await log.snapshot((tx) => tx.persons.forgettings())).toEqual([]);
  expect(await running.forget("ada", { reason: "again" })).toMatchObject({ repeated: true });
  accepted(await running.customer("bob").note({ note: "still here" }));
  await running.stop();

  for (const file of readdirSync(place)) {
    const bytes = readFileSync(join(place, file));
    for (const secret of secrets) expect([file, secret, bytes.includes(secret)]).toEqual([file, secret, false]);
  }
});
