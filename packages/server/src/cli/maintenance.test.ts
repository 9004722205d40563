// Backup, restore, export, import and verify as processes: what they leave behind, also when they are killed at any moment.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, parseToken, type Verification, verifyStore } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import type { StoreKind } from "./store-file.ts";
import { fileDriver, openStore } from "./store-place.ts";

const main = join(import.meta.dirname, "main.ts");
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function launch(directory: string, args: readonly string[]): { child: ChildProcess; ran: Promise<Ran> } {
  const child = spawn(process.execPath, ["--conditions=convergent-source", main, ...args], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  return { child, ran: once(child, "close").then(([code]): Ran => ({ code: code as number | null, out, err })) };
}

const convergent = (directory: string, ...args: string[]): Promise<Ran> => launch(directory, args).ran;

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function openLog(path: string, kind: StoreKind): Promise<Log> {
  const log = await Log.open(fileDriver(path, kind), "orders");
  onTestFinished(() => log.close());
  return log;
}

async function append(log: Log, count: number, stream = "order/1"): Promise<string> {
  const events = Array.from({ length: count }, (_, index) => ({ type: "order.amended", data: { index, text: "x".repeat(100) } }));
  const outcome = await log.append({ stream, expected: "any", events });
  if (outcome.kind !== "appended") throw new Error("not appended");
  return String(outcome.token);
}

async function fill(path: string, kind: StoreKind, appends: number, each = 100): Promise<void> {
  const log = await openLog(path, kind);
  for (let index = 0; index < appends; index++) await append(log, each, `order/${index % 7}`);
  await log.close();
}

async function found(path: string): Promise<Verification> {
  const store = await openStore(path);
  try {
    return await verifyStore(store);
  } finally {
    await store.close();
  }
}

describe.each(["sqlite", "journal"] as const)("%s", (kind) => {
  const file = kind === "sqlite" ? "orders.db" : "orders.journal";

  test("a backup is verified and compares equal; restored, it begins a new epoch and refuses what was lost", async () => {
    const directory = newDirectory();
    const store = join(directory, file);
    const log = await openLog(store, kind);
    const kept = await append(log, 50);
    await log.close();
    const copy = join(directory, "copy", file);
    const backup = await convergent(directory, "backup", "--store", store, "--to", copy, "--json");
    expect([backup.code, JSON.parse(backup.out)]).toEqual([0, expect.objectContaining({ store: "orders", events: 50 })]);
    expect(backup.err).toMatch(/copying .* …\n[\s\S]*verifying/);
    expect((await convergent(directory, "backup", "--store", store, "--to", copy)).err).toMatch(/exists already/);
    const same = await convergent(directory, "verify", "--store", store, "--against", copy);
    expect([same.code, same.out]).toEqual([0, expect.stringContaining("both hold the same events")]);

    const later = await openLog(store, kind);
    const lost = await append(later, 5, "order/lost");
    const refused = await convergent(directory, "restore", "--from", copy, "--to", store, "--force");
    expect([refused.code, /stop/.test(refused.err)]).toEqual([1, true]);
    await later.close();
    expect((await convergent(directory, "restore", "--from", copy, "--to", store)).err).toMatch(/add --force/);
    const differing = await convergent(directory, "verify", "--store", store, "--against", copy);
    expect([differing.code, differing.out]).toEqual([
      1,
      expect.stringContaining("positions 1 to 55 differ: 55 events here, 50 events there"),
    ]);

    const restored = await convergent(directory, "restore", "--from", copy, "--to", store, "--force");
    expect([restored.code, restored.out]).toEqual([0, expect.stringContaining("begins at position 51")]);
    const forks: unknown[] = [];
    const again = await Log.open(fileDriver(store, kind), "orders", { onFork: (fork) => forks.push(fork) });
    expect(forks).toEqual([]);
    expect(await again.demand(parseToken(kept))).toMatchObject({ position: 50 });
    await expect(again.demand(parseToken(lost))).rejects.toMatchObject({ code: "token_epoch", details: { fork: 50 } });
    await again.close();
    expect(readdirSync(directory).filter((name) => /part|lock|wal|shm/.test(name))).toEqual([]);
  }, 180_000);

  test("an import killed at any moment leaves nothing under the store's name, and can be repeated", async () => {
    const directory = newDirectory();
    const source = join(directory, file);
    await fill(source, kind, 60);
    const before = await found(source);
    expect((await convergent(directory, "export", "--store", source, "--to", "orders.jsonl.gz")).code).toBe(0);
    const target = join(directory, kind === "sqlite" ? "new.db" : "new.journal");
    const start = performance.now();
    expect((await convergent(directory, "import", "--from", "orders.jsonl.gz", "--store", "whole.db")).code).toBe(0);
    const whole = performance.now() - start;
    for (let attempt = 1; attempt <= 6 && !existsSync(target); attempt++) {
      const { child, ran } = launch(directory, ["import", "--from", "orders.jsonl.gz", "--store", target]);
      await new Promise((resolve) => setTimeout(resolve, (whole * attempt) / 6));
      child.kill("SIGKILL");
      await ran;
      if (existsSync(target)) expect((await found(target)).digest).toBe(before.digest);
    }
    rmSync(target, { force: true });
    const { code, err } = await convergent(directory, "import", "--from", "orders.jsonl.gz", "--store", target);
    expect([code, /importing .*: [\d,]+ events(?:, \d+ a second,)? in \d/.test(err)]).toEqual([0, true]);
    expect((await found(target)).ranges).toEqual(before.ranges);
    expect(readdirSync(directory).filter((name) => name.includes(".part"))).toEqual([]);
  }, 180_000);

  test("a restore killed at any moment leaves the old store or the restored one, whole", async () => {
    const directory = newDirectory();
    const store = join(directory, file);
    await fill(store, kind, 40);
    const copy = join(directory, `copy-${file}`);
    expect((await convergent(directory, "backup", "--store", store, "--to", copy)).code).toBe(0);
    const older = (await found(copy)).digest;
    const log = await openLog(store, kind);
    await append(log, 100, "order/later");
    await log.close();
    const newer = (await found(store)).digest;
    const args = ["restore", "--from", copy, "--to", store, "--force"];
    const start = performance.now();
    copyFileSync(store, join(directory, `spare-${file}`));
    await convergent(directory, "restore", "--from", copy, "--to", join(directory, `spare-${file}`), "--force");
    const whole = performance.now() - start;
    for (let attempt = 1; attempt <= 8; attempt++) {
      const { child, ran } = launch(directory, args);
      await new Promise((resolve) => setTimeout(resolve, (whole * attempt) / 8));
      child.kill("SIGKILL");
      await ran;
      const { digest, problems } = await found(store);
      expect(problems).toEqual([]);
      expect([older, newer]).toContain(digest);
      if (digest === older) break;
    }
    expect((await convergent(directory, ...args)).code).toBe(0);
    const restored = await openStore(store);
    expect(restored.identity.epochs.length).toBeGreaterThan(1);
    await restored.close();
    expect((await found(store)).digest).toBe(older);
  }, 180_000);
});

test("an import with broken lines is refused by line, and what was there stays; stores of both kinds take each other's exports", async () => {
  const directory = newDirectory();
  await fill(join(directory, "orders.db"), "sqlite", 3, 10);
  expect((await convergent(directory, "export", "--store", "orders.db", "--format", "cloudevents", "--to", "orders.jsonl")).code).toBe(0);
  const lines = readFileSync(join(directory, "orders.jsonl"), "utf8").split("\n");
  writeFileSync(
    join(directory, "broken.jsonl"),
    lines.map((line, index) => (index > 2 && index < 28 ? line.replace("x", "y") : line)).join("\n"),
  );
  const broken = await convergent(directory, "import", "--from", "broken.jsonl", "--store", "new.db");
  expect([broken.code, broken.out]).toEqual([1, ""]);
  expect(broken.err).toMatch(
    /broken\.jsonl:4: position 3: its content does not fit its digest\n[\s\S]*and 5 more\n[\s\S]*nothing was imported/,
  );
  expect(readdirSync(directory).filter((name) => name.startsWith("new.db"))).toEqual([]);
  expect((await convergent(directory, "import", "--from", "orders.jsonl", "--store", "orders.db")).err).toMatch(
    /holds 30 events of orders; import into a new file/,
  );
  expect((await convergent(directory, "import", "--from", "missing", "--store", "new.db")).err).toMatch(/no file missing\n\(not_found\)/);
  writeFileSync(join(directory, "other.txt"), "hello\n");
  expect((await convergent(directory, "import", "--from", "other.txt", "--store", "new.db")).err).toMatch(/line 1: it is no JSON/);
  writeFileSync(join(directory, "torn.gz"), Buffer.from([0x1f, 0x8b, 1, 2, 3]));
  expect((await convergent(directory, "import", "--from", "torn.gz", "--store", "new.db")).err).toMatch(
    /torn\.gz cannot be read[\s\S]*invalid_input/,
  );

  const carried = await convergent(directory, "import", "--from", "orders.jsonl", "--store", "orders.journal");
  expect([carried.code, carried.err]).toEqual([0, expect.not.stringContaining("older release")]);
  const older = readFileSync(join(directory, "orders.jsonl"), "utf8").replace('"version":2', '"version":1').replace(',"kept":0', "");
  writeFileSync(join(directory, "older.jsonl"), older);
  const { code, err } = await convergent(directory, "import", "--from", "older.jsonl", "--store", "older.db");
  expect([code, err]).toEqual([
    0,
    expect.stringMatching(/older release[\s\S]*each begins at the first event[\s\S]*export the store again/),
  ]);
  const log = await Log.open(memory({ directory }), "orders");
  expect(log.headKnown.position).toBe(30);
  await log.close();
  const piped = await convergent(directory, "export", "--store", "orders.journal", "--format", "cloudevents");
  expect(piped.out.split("\n").slice(1, -2)).toEqual(lines.slice(1, -2));
  expect((await convergent(directory, "verify", "--store", "orders.journal", "--against", "orders.db")).code).toBe(0);
}, 180_000);

test("a backup taken while a process writes at full speed is one moment of the log, and a damaged store is put right by restore", async () => {
  const directory = newDirectory();
  const store = join(directory, "orders.db");
  const log = await openLog(store, "sqlite");
  await append(log, 10_000);
  const state = { stopped: false, last: "" };
  const writing = (async () => {
    while (!state.stopped) state.last = await append(log, 3, "order/2");
  })();
  const backup = await convergent(directory, "backup", "--store", store, "--to", "copy.db", "--json");
  state.stopped = true;
  await writing;
  expect(backup.code).toBe(0);
  const { events } = JSON.parse(backup.out) as { events: number };
  expect(events).toBeGreaterThan(10_000);
  expect(log.headKnown.position).toBeGreaterThan(events);
  expect((events - 10_000) % 3).toBe(0);
  await log.close();

  const bytes = readFileSync(store);
  bytes.fill(7, 0, 4096);
  writeFileSync(store, bytes);
  expect((await convergent(directory, "verify", "--store", store)).code).toBe(1);
  const restored = await convergent(directory, "restore", "--from", "copy.db", "--to", store, "--force");
  expect([restored.err, restored.code]).toEqual([expect.any(String), 0]);
  expect((await found(store)).events).toBe(events);
  expect(existsSync(`${store}.damaged`)).toBe(true);
  const again = await openLog(store, "sqlite");
  await expect(again.demand(parseToken(state.last))).rejects.toMatchObject({ code: "token_epoch", details: { fork: events } });
}, 180_000);

test("what a killed server left of a store that was deleted does not get into the backup that takes its place; nor is a running one's store overwritten by a backup", async () => {
  const directory = newDirectory();
  const store = join(directory, "orders.db");
  await fill(store, "sqlite", 20);
  expect((await convergent(directory, "backup", "--store", store, "--to", "copy.db")).code).toBe(0);
  const log = await openLog(store, "sqlite");
  for (let index = 0; index < 20; index++) await append(log, 100, `order/${index % 7}`);
  const mistaken = await convergent(directory, "backup", "--store", "copy.db", "--to", store, "--force");
  expect([mistaken.code, /stop its server/.test(mistaken.err)]).toEqual([1, true]);
  const wal = readFileSync(`${store}-wal`);
  await log.close();
  rmSync(store);
  writeFileSync(`${store}-wal`, wal);
  expect((await convergent(directory, "restore", "--from", "copy.db", "--to", store)).code).toBe(0);
  expect(await found(store)).toMatchObject({ events: 2000, problems: [] });
}, 60_000);

test("ended streams are archived beside a live server; backup, export and verify hold them, and restore makes one file of both", async () => {
  const directory = newDirectory();
  const store = join(directory, "orders.db");
  const log = await openLog(store, "sqlite");
  for (const stream of ["order/1", "order/2", "order/3"]) await append(log, 300, stream);
  for (const stream of ["order/1", "order/3"]) await log.append({ stream, expected: "any", events: [{ type: "order.shipped", data: 1 }] });
  const before = await found(store);
  expect((await convergent(directory, "archive", "--store", store)).err).toMatch(/say which streams[\s\S]*invalid_input/);
  const young = await convergent(directory, "archive", "--store", store, "--entity", "order", "--ended-by", "order.shipped", "--json");
  expect(JSON.parse(young.out)).toMatchObject({ streams: 0, events: 0 });
  for (const [names, said] of [
    [["ordr", "order.shipped"], /no entity "ordr"; it holds order\n\(not_found\)/],
    [["order", "order.shippd"], /no event of the type "order.shippd"; it holds order.amended, order.shipped\n/],
  ] as const) {
    const slip = await convergent(directory, "archive", "--store", store, "--entity", names[0], "--ended-by", names[1]);
    expect([slip.code, slip.err]).toEqual([1, expect.stringMatching(said)]);
  }
  const rare = await convergent(directory, "archive", "--store", store, "--entity", "order", "--ended-by", "order.shipped,order.cancelled");
  expect([rare.code, rare.out]).toEqual([0, expect.stringMatching(/^nothing was moved/)]);
  expect(rare.err).toContain('no event of the type "order.cancelled"');
  expect((await convergent(directory, "verify", "--store", "missing.db")).err).toMatch(
    /^convergent: there is no file missing\.db; name the store/,
  );
  expect(existsSync(join(directory, "missing.db"))).toBe(false);
  const byType = ["--entity", "order", "--ended-by", "order.shipped", "--ended-before", "0s"];
  const moved = await convergent(directory, "archive", "--store", store, ...byType);
  expect([moved.code, moved.out]).toEqual([0, expect.stringContaining("moved 600 events of 2 streams")]);
  writeFileSync(join(directory, "streams.txt"), "order/2\norder/none\n\n");
  const listed = await convergent(directory, "archive", "--store", store, "--streams-from", "streams.txt", "--json");
  expect(JSON.parse(listed.out)).toMatchObject({ events: 299 });
  expect(await log.stream("order/2")).toHaveLength(300);
  expect((await found(store)).ranges).toEqual(before.ranges);

  expect((await convergent(directory, "backup", "--store", store, "--to", "copy.db")).code).toBe(0);
  expect((await convergent(directory, "export", "--store", store, "--to", "orders.jsonl")).code).toBe(0);
  expect((await convergent(directory, "import", "--from", "orders.jsonl", "--store", "new.db")).code).toBe(0);
  await log.close();
  copyFileSync(store, join(directory, "alone.db"));
  const alone = await convergent(directory, "backup", "--store", "alone.db", "--to", "alone-copy.db");
  expect([alone.code, alone.err]).toEqual([1, expect.stringContaining("alone.db-archive is missing")]);
  expect((await convergent(directory, "restore", "--from", "copy.db", "--to", store, "--force")).code).toBe(0);
  expect(existsSync(`${store}-archive`)).toBe(false);
  for (const file of [store, join(directory, "copy.db"), join(directory, "new.db")])
    expect((await found(file)).ranges).toEqual(before.ranges);
}, 180_000);

test("streams are archived whose entity says of its state that it has ended", async () => {
  const directory = newDirectory();
  const store = join(directory, "orders.db");
  const log = await openLog(store, "sqlite");
  for (const stream of ["order/1", "order/2"]) await append(log, 20, stream);
  // Ended by what came before the last event, which no list of types tells.
  for (const type of ["order.shipped", "order.amended"])
    await log.append({ stream: "order/1", expected: "any", events: [{ type, data: {} }] });
  const define = (ended: string): string => `
    import { entity, service } from "${import.meta.resolve("convergent")}";
    const any = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };
    const order = entity("order", { initial: () => ({ shipped: false }), events: { amended: any, shipped: any } })
      .evolve({ amended: (state) => state, shipped: () => ({ shipped: true }) }, { ${ended} }).commands({});
    export const orders = service("orders", { parts: { order } });`;
  writeFileSync(join(directory, "orders.mjs"), define("ended: (state) => state.shipped"));
  writeFileSync(join(directory, "mute.mjs"), define(""));
  const archive = (...more: string[]): Promise<Ran> => convergent(directory, "archive", "--store", store, ...more, "--json");
  expect((await archive("--services", "mute.mjs")).err).toMatch(/no entity of "orders" declares `ended`[^]*invalid_input/);
  expect((await archive("--services", "orders.mjs", "--ended-by", "order.shipped")).err).toContain("invalid_input");
  expect(JSON.parse((await archive("--services", "orders.mjs")).out)).toMatchObject({ streams: 0, events: 0 });
  expect(JSON.parse((await archive("--services", "orders.mjs", "--ended-before", "0s")).out)).toMatchObject({ streams: 1, events: 21 });
  expect(await log.stream("order/1")).toHaveLength(22);
}, 60_000);
