// Read replicas of PostgreSQL, by real streaming replication. What an answer of a replica says of itself comes from the replica.
import { basename } from "node:path";
import { createGateway } from "@convergent/server";
import { type Position, position, runtimeOf, type wire } from "convergent";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { RunningPostgres } from "../../../tools/postgres.ts";
import { asked, during, frozen, open, openStrong, paused, Servers } from "./replica-servers.ts";
import { newPlace } from "./store-kinds.ts";

const servers = new Servers();
let primary: RunningPostgres;
let standby: RunningPostgres;

beforeAll(async () => {
  primary = await servers.start();
  standby = await servers.standby("standby");
}, 60_000);

const setting = () => ({ primary: primary.url, replicas: [standby.url] });

test("a read that asks for nothing is answered by the replica, and labelled with how far that is behind", async () => {
  const { set, latest, reads, waitFor } = await open(setting());
  const first = await set("a", 1);
  await expect.poll(async () => (await latest.get("a")).fresh).toBe(true);
  await paused(standby);
  const second = await set("a", 2);
  expect(await waitFor(second)).toBe(true);
  const before = reads();
  const { value, asOf, behind, fresh, token } = await latest.get("a");
  expect(reads()).toBe(before + 1);
  expect({ value, asOf, fresh }).toEqual({ value: { n: 1 }, asOf: first.entries[0]?.position, fresh: false });
  expect(behind.positions).toBe(1);
  expect(behind.ms).toBeGreaterThan(0);
  expect(String(token)).toBe(String(first));
});

test("a read that asks for a position which the replica does not have is answered by the primary", async () => {
  const { set, latest } = await open(setting());
  await set("a", 1);
  await paused(standby);
  for (let n = 2; n < 8; n++) {
    const token = await set("a", n);
    const { value, fresh, asOf } = await latest.get("a", { after: token });
    expect({ value, fresh, asOf }).toEqual({ value: { n }, fresh: true, asOf: n });
    expect((await latest.find({ n }, { after: token })).value).toEqual([{ key: "a", value: { n } }]);
    expect(await latest.count({ n }, { after: token })).toMatchObject({ value: 1, fresh: true });
  }
});

test("a replica whose log has an event does not answer for it before its rows of the view have it", async () => {
  const { running, set, latest, status, waitFor } = await open(setting());
  const first = await set("a", 1);
  await expect.poll(async () => (await latest.get("a")).fresh).toBe(true);
  const { reader } = runtimeOf(running).view("latest");
  reader.pause();
  await expect.poll(() => reader.state).toBe("paused");
  const second = await set("a", 2);
  await expect.poll(async () => (await latest.get("a")).behind.positions).toBe(1);
  await expect.poll(() => status()[0]?.lag.positions).toBe(0);
  await paused(standby);
  reader.resume();
  expect(await waitFor(second)).toBe(true);
  for (const wait of ["0ms", "1s"] as const)
    expect(await latest.get("a", { after: second, wait })).toMatchObject({ value: { n: 2 }, asOf: 2, fresh: true });
  const { value, asOf, fresh } = await latest.get("a");
  expect({ value, asOf, fresh }).toEqual({ value: { n: 1 }, asOf: first.entries[0]?.position, fresh: false });
  expect((await latest.find({ n: 1 })).value).toEqual([{ key: "a", value: { n: 1 } }]);
  expect(await latest.get("a", { maxAge: "1h" })).toMatchObject({ value: { n: 1 }, asOf: 1, fresh: true });
});

test("a replica that comes near enough while there is time answers itself", async () => {
  const { set, latest, log, reads } = await open(setting());
  const headAt = (position: Position, waitMs: number) =>
    log.replicas?.read({ position, waitMs }, async (tx) => ({ head: (await tx.head()).position }));
  await set("a", 1);
  const resume = await paused(standby);
  await set("a", 2);
  const found = headAt(position(2), 20_000);
  expect(await headAt(position(2), 50)).toBeUndefined();
  await resume();
  expect(await found).toEqual({ head: 2 });
  // Those who read what they have just written find it there now and then, some milliseconds later.
  const before = reads();
  for (let n = 3; n < 100 && reads() === before; n++)
    expect(await latest.get("a", { after: await set("a", n), wait: "10s" })).toMatchObject({ value: { n }, fresh: true });
  expect(reads()).toBeGreaterThan(before);
});

test("while the primary stands still, replicas answer, and do not call fresh what they cannot know", async () => {
  const { set, latest, sums, reads } = await open(setting());
  const token = await set("a", 1);
  await expect.poll(async () => (await latest.get("a")).fresh).toBe(true);
  expect(await sums.query.total({}, { after: token })).toMatchObject({ value: 1, fresh: true });
  const thaw = frozen(primary);
  const before = reads();
  for (let count = 0; count < 20; count++) expect((await latest.get("a")).value).toEqual({ n: 1 });
  expect((await latest.find({ n: 1 })).value).toEqual([{ key: "a", value: { n: 1 } }]);
  expect((await sums.query.total({})).value).toBe(1);
  // What was asked for by a position it holds all the same.
  expect(await latest.get("a", { after: token })).toMatchObject({ value: { n: 1 }, fresh: true });
  expect(reads()).toBeGreaterThanOrEqual(before + 23);
  await expect.poll(async () => (await latest.get("a")).fresh).toBe(false);
  thaw();
  await expect.poll(async () => (await latest.get("a")).fresh).toBe(true);
});

test("a replica passes what is of no interest by its own snapshot, and is as far as its log is", async () => {
  const { note, set, latest, log } = await open(setting());
  for (let n = 1; n <= 40; n++) await set(`item-${n}`, n);
  for (let count = 0; count < 60; count++) await note(`note-${count}`).write({});
  await expect.poll(async () => (await latest.find({}, { limit: 100 })).asOf).toBe(100);
  expect(await latest.find({}, { limit: 100 })).toMatchObject({ asOf: 100, behind: { positions: 0, ms: 0 }, fresh: true });
  expect(log.headKnown.position).toBe(100);
});

test("a strong view, and a read that asks for now, are answered by the primary", async () => {
  const { item, largest, log } = await openStrong(setting());
  await item("a").set({ n: 1 });
  await paused(standby);
  await item("a").set({ n: 7 });
  expect(await largest.get("one")).toMatchObject({ value: { n: 7 }, fresh: true });
  expect(log.replicas?.status()[0]?.reads).toBe(0);
  const { set, latest, reads } = await open(setting(), 0);
  await set("a", 1);
  await set("a", 2);
  expect(await latest.get("a", { strong: true })).toMatchObject({ value: { n: 2 }, fresh: true });
  expect(reads()).toBe(0);
});

test("a replica that lacks events older than the limit is set aside until it has caught up", async () => {
  const { set, latest, states, status, reads, waitFor } = await open({ ...setting(), options: { replicaLagMaxMs: 300 } });
  await set("a", 1);
  const resume = await paused(standby);
  expect(await waitFor(await set("a", 2))).toBe(true);
  await expect.poll(states).toEqual(["behind"]);
  expect(status()[0]?.lag.positions).toBe(1);
  expect(status()[0]?.lag.ms).toBeGreaterThan(300);
  const before = reads();
  expect(await latest.get("a")).toMatchObject({ value: { n: 2 }, fresh: true });
  expect(reads()).toBe(before);
  await resume();
  await expect.poll(states).toEqual(["ready"]);
  expect(await latest.get("a")).toMatchObject({ value: { n: 2 } });
  expect(reads()).toBe(before + 1);
});

test("an epoch that the replica has not heard of keeps it from being used, until it has", async () => {
  const { set, latest, states, log, waitFor } = await open(setting());
  await set("a", 1);
  const resume = await paused(standby);
  // Somebody remembers an event that this log does not have: it is an older copy of itself.
  await log.doubt({ by: "token", epoch: log.epoch.id, position: 1, check: "none" } as never);
  expect(log.epochs).toHaveLength(2);
  const token = await set("a", 2);
  expect(await waitFor(token)).toBe(true);
  expect(await latest.get("a")).toMatchObject({ value: { n: 2 }, fresh: true });
  await expect.poll(states).toEqual(["refused"]);
  await resume();
  await expect.poll(states).toEqual(["ready"]);
  expect(await latest.get("a", { after: token })).toMatchObject({ value: { n: 2 }, fresh: true });
});

test("a server that is no copy of the primary is refused: one by itself, a copy of another cluster, another history", async () => {
  const other = await servers.start("other");
  const place = newPlace();
  const elsewhere = await open({ primary: other.url, replicas: [], place });
  await elsewhere.set("a", 7);
  const copy = await servers.standby("copy of other", { of: other });
  onTestFinished(async () => void (await Promise.all([copy.kill(), other.kill()])));
  const { set, latest, states, status } = await open({ primary: primary.url, replicas: [other.url, copy.url, standby.url], place }, 1);
  const token = await set("a", 1);
  await expect.poll(states).toEqual(["promoted", "refused", "ready"]);
  expect(status()[0]?.error).toContain("not in recovery");
  expect(status()[1]?.error).toContain("another cluster");
  expect(await latest.get("a", { after: token })).toMatchObject({ value: { n: 1 }, fresh: true });
  for (let count = 0; count < 10; count++) expect((await latest.get("a")).value).toEqual({ n: 1 });
  // The primary forgets what the replica still holds, as a restored one does.
  await set("a", 2);
  await expect.poll(async () => (await latest.get("a")).value).toEqual({ n: 2 });
  await paused(standby);
  await asked(primary, `UPDATE "${basename(place)}".events SET id = 'other' WHERE position = 2`);
  await expect.poll(states).toEqual(["promoted", "refused", "refused"]);
  expect(status()[2]?.error).toContain("its log is another one at 2");
  await asked(primary, `DELETE FROM "${basename(place)}".events WHERE position = 2`);
  await expect.poll(() => status()[2]?.error).toContain("where the primary's stands at 1");
});

test("operators see each replica: its place without the password, its state, how far it is behind", async () => {
  const secret = standby.url.replace("postgres@", "postgres:secret@");
  const gone = "postgres://postgres:secret@127.0.0.1:1/postgres";
  const { set, running, states, status } = await open({ primary: primary.url, replicas: [secret, gone] }, 1);
  await expect.poll(states).toEqual(["ready", "unreachable"]);
  await paused(standby);
  await set("a", 1);
  await expect.poll(() => status()[0]?.lag.positions).toBe(1);
  const gateway = createGateway([running]);
  const get = async (path: string) => (await gateway.fetch(new Request(`http://localhost${path}`))).text();
  const { replicas } = JSON.parse(await get("/readers")) as wire.ReadersBody;
  const place = `${new URL(standby.url).host}/postgres`;
  expect(replicas).toMatchObject([
    { service: "orders", place, state: "ready", lag: { positions: 1 } },
    {
      service: "orders",
      place: "127.0.0.1:1/postgres",
      state: "unreachable",
      error: expect.stringContaining("cannot be reached") as string,
    },
  ]);
  const ready = await get("/readyz");
  expect(JSON.parse(ready)).toMatchObject({ status: "ready", services: [{ replicas: { ready: 1, aside: 1 } }] });
  const metrics = await get("/metrics");
  expect(metrics).toContain(`convergent_replica_lag_positions{service="orders",replica="${place}"} 1`);
  expect(metrics).toContain('convergent_replica_state{service="orders",replica="127.0.0.1:1/postgres",state="unreachable"} 1');
  expect(metrics).toMatch(/convergent_replica_reads_total\{service="orders",replica="[^"]+"\} \d/);
  expect(JSON.stringify(replicas) + ready + metrics).not.toContain("secret");
});

test("a replica that is killed is set aside while reads go on, and used again when it is back", async () => {
  const mortal = await servers.standby("mortal");
  const port = Number(new URL(mortal.url).port);
  const { set, latest, states, reads } = await open({ ...setting(), replicas: [mortal.url] });
  const token = await set("a", 1);
  expect(await latest.get("a", { after: token, wait: "10s" })).toMatchObject({ value: { n: 1 }, fresh: true });
  await mortal.kill();
  for (let n = 2; n <= 30; n++) expect(await latest.get("a", { after: await set("a", n) })).toMatchObject({ value: { n }, fresh: true });
  expect((await latest.get("a")).value).toEqual({ n: 30 });
  await expect.poll(states).toEqual(["unreachable"]);
  const before = reads();
  const again = await servers.standby("mortal", { port });
  onTestFinished(() => again.kill());
  await expect.poll(states).toEqual(["ready"]);
  await expect.poll(async () => (await latest.get("a")).value).toEqual({ n: 30 });
  await latest.get("a");
  expect(reads()).toBeGreaterThan(before);
});

test("a replica that stands still holds no read up for long: the other servers answer", async () => {
  const slow = await servers.standby("slow");
  onTestFinished(() => slow.kill());
  const { set, latest, status } = await open({ ...setting(), replicas: [slow.url, standby.url] });
  const token = await set("a", 1);
  await expect.poll(async () => (await latest.get("a", { after: token })).fresh).toBe(true);
  const thaw = frozen(slow);
  const begun = performance.now();
  const answers = await Promise.all(Array.from({ length: 20 }, () => latest.get("a")));
  expect(answers.map(({ value }) => value)).toEqual(answers.map(() => ({ n: 1 })));
  expect(performance.now() - begun).toBeLessThan(5_000);
  await expect.poll(() => status().map(({ state }) => state)).toEqual(["unreachable", "ready"]);
  thaw();
  await expect.poll(() => status().map(({ state }) => state), { timeout: 20_000 }).toEqual(["ready", "ready"]);
});

test("a replica that was promoted is never used again, whatever it says of itself later", async () => {
  const traitor = await servers.standby("traitor");
  onTestFinished(() => traitor.kill());
  const place = newPlace();
  const { set, latest, states, status, reads } = await open({ ...setting(), replicas: [traitor.url], place });
  const token = await set("a", 1);
  expect(await latest.get("a", { after: token, wait: "10s" })).toMatchObject({ fresh: true });
  await asked(traitor, "SELECT pg_promote()");
  // What it writes by itself from now on nobody sees, neither before nor after this process has noticed.
  const schema = basename(place);
  await asked(traitor, `UPDATE "${schema}".documents SET document = '{"n":666}'`);
  for (let count = 0; count < 20; count++) expect((await latest.get("a")).value).toEqual({ n: 1 });
  expect(await latest.get("a", { after: await set("a", 2) })).toMatchObject({ value: { n: 2 }, fresh: true });
  expect(states()).toEqual(["promoted"]);
  expect(status()[0]?.error).toContain("promoted");
  const before = reads();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect((await latest.get("a")).value).toEqual({ n: 2 });
  expect({ states: states(), reads: reads() }).toEqual({ states: ["promoted"], reads: before });
});

test("a replica that is kept two seconds behind is never called fresher than it is, by position or by age", {
  timeout: 60_000,
}, async () => {
  const late = await servers.standby("late", { settings: { recovery_min_apply_delay: "2s" } });
  onTestFinished(() => late.kill());
  const { set, latest, status, reads, waitFor } = await open({ ...setting(), replicas: [late.url] });
  await waitFor(await set("a", 1));
  await expect.poll(async () => (await latest.get("a")).value).toEqual({ n: 1 });
  const written: number[] = [Date.now()];
  for (let n = 2; n <= 12; n++) {
    const begun = performance.now();
    const token = await set("a", n);
    written[n - 1] = Date.now();
    expect(await latest.get("a", { after: token })).toMatchObject({ value: { n }, fresh: true });
    expect(performance.now() - begun).toBeLessThan(1_500);
    const any = await latest.get("a");
    expect(any.fresh).toBe(any.value?.n === n);
    for (const maxAgeMs of [300, 1_000, 10_000]) {
      const askedAt = Date.now();
      const aged = await latest.get("a", { maxAge: `${maxAgeMs}ms` });
      const due = written.filter((at) => at < askedAt - maxAgeMs).length;
      expect(aged.fresh).toBe(true);
      expect(aged.value?.n).toBeGreaterThanOrEqual(due);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(reads()).toBeGreaterThan(20);
  expect(status()[0]).toMatchObject({ state: "ready" });
  // With ten seconds allowed, two seconds are near enough.
  const before = reads();
  expect((await latest.get("a", { maxAge: "10s" })).fresh).toBe(true);
  expect(reads()).toBe(before + 1);
});

test("what another process has appended, of which neither the replica nor this process has heard, is not taken for young", async () => {
  const place = newPlace();
  const writing = await open({ primary: primary.url, replicas: [], place });
  await writing.set("a", 0);
  // It hears of nothing, and looks at the head twice a second.
  const { latest, reads } = await open({ ...setting(), place, options: { listen: false } });
  await expect.poll(async () => (await latest.get("a")).value).toEqual({ n: 0 });
  await paused(standby);
  const before = reads();
  for (let n = 1; n <= 8; n++) {
    await writing.set("a", n);
    await new Promise((resolve) => setTimeout(resolve, 120 + 37 * n));
    expect(await latest.get("a", { maxAge: "100ms" })).toMatchObject({ value: { n }, fresh: true });
  }
  expect(await latest.get("a", { maxAge: "1m" })).toMatchObject({ value: { n: 0 }, asOf: 1, fresh: true });
  expect(reads()).toBeGreaterThan(before);
});

test("a conflict with what is replayed is not the reader's: another server answers", async () => {
  const impatient = await servers.standby("impatient", { settings: { max_standby_streaming_delay: 0, max_standby_archive_delay: 0 } });
  onTestFinished(() => impatient.kill());
  const place = newPlace();
  const { set, sums, status, waitFor } = await open({ ...setting(), replicas: [impatient.url], place });
  const conflicts = async () => {
    const rows = await asked(impatient, "SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = current_database()");
    return Number(rows[0]?.[0]);
  };
  /** Replaces every row, and has the replica remove the old ones, which its open snapshots still need. */
  const replace = async (n: number): Promise<void> => {
    for (let item = 1; item < 20; item++) await set(`item-${item}`, n);
    await waitFor(await set("item-20", n));
    await asked(primary, `VACUUM "${basename(place)}"."view_sums_1_items"`);
  };
  await waitFor(await set("item-1", 1));
  for (let item = 2; item <= 20; item++) await set(`item-${item}`, 1);
  const runs = { between: 0, times: 0 };
  during.between = async () => {
    if (runs.between++ > 0) return;
    await replace(2);
    await expect.poll(conflicts).toBeGreaterThan(0);
  };
  during.times = () => (runs.times++ === 0 ? 100_000_000 : 1);
  onTestFinished(() => void Object.assign(during, { between: async () => undefined, times: () => 1 }));
  // Between two statements the server ends the connection.
  await expect.poll(async () => (await sums.query.total({})).value).toBe(40);
  expect(runs.between).toBeGreaterThanOrEqual(2);
  await expect.poll(async () => (await sums.query.total({})).asOf).toBeGreaterThanOrEqual(40);
  // Within one it cancels the statement.
  const copying = { isDone: false };
  const copies = sums.query.copies({}).finally(() => (copying.isDone = true));
  for (let n = 3; !copying.isDone; n++) await replace(n);
  expect((await copies).value).toBe(20);
  expect(runs.times).toBe(2);
  expect(status()[0]).toMatchObject({ state: "ready", error: expect.stringContaining("conflict with recovery") as string });
});
