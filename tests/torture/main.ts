// `npm run torture -- --store sqlite --kills N`: real crashes of real processes on the real store, judged by the simulator's checkers.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { historyText } from "convergent/simulator";
import { ChapterRun } from "./chapter.ts";
import { obstacle, type Place } from "./places.ts";
import { type Chapter, countsOf, planOf, possible } from "./plan.ts";
import { Power } from "./power.ts";
import { manyOf, Report } from "./report.ts";
import { Spares } from "./servers.ts";
import { type Part, sumLines } from "./sum.ts";
import { type Database, makeTemplate, missing, type StoreName, storeNames } from "./stores.ts";

const help = `npm run torture -- --store sqlite [options]
npm run torture -- --sum FILE ...

Two server processes on one store, under load by real clients, die again and again; the simulator's checkers judge what is left.

  --store S        the store: sqlite, or postgres: a server of each run's own
  --kills N        rounds in which one server, or all, get SIGKILL (default 40)
  --power-cuts N   rounds in which the store's file system loses whatever was not synced (default 0; root, Linux, ext4)
  --database-kills N  rounds in which PostgreSQL itself gets SIGKILL, postmaster and all (default: kills / 2; postgres)
  --cuts N         times that PostgreSQL ends about half of the servers' connections, under load (pg_terminate_backend); one in which
                   none of them was inside a statement or a transaction does not count, and is tried again (default: as kills; postgres)
  --stops N        rounds in which a server stands still (SIGSTOP), also past its leases (default: kills / 25)
  --full-disks N   rounds in which the disk is full (default: kills / 20; root, Linux; sqlite)
  --io-errors N    rounds in which every write and sync fails under running servers (default: power cuts / 10; root, Linux, ext4; sqlite)
  --at-once N      stores at a time (default 1); more take the time that waits leave, where two cores are free
  --sessions N     clients, each with one request at a time (default 48)
  --seed S         of the plan and of what clients do; moments are the machine's (default 1)
  --keep           keeps the history of every chapter, not only of those that fail
  --json FILE      writes the figures
  --sum            adds up figures that were written, of runs with different seeds, and runs nothing
  --require all    what cannot be made here has failed; else it is skipped, by name

The last line is "N passed, N failed, N skipped", counted in rounds. A chapter that fails keeps its history.
After every fault each reader has to come to the head within 60 s before the next one comes; of up to 8 cuts that follow each other,
after the last. Every store is judged as a whole, against everything that clients were told.

Examples:
  npm run torture -- --store sqlite --kills 40 --power-cuts 30
  npm run torture -- --store postgres --kills 10 --power-cuts 3
  npm run torture -- --store postgres --kills 100 --seed 2 --json torture-2.json
  npm run torture -- --sum torture-1.json torture-2.json
  npm run torture -- --store sqlite --kills 1000 --power-cuts 500 --require all --json torture.json`;

const options = {
  store: { type: "string" },
  kills: { type: "string" },
  "power-cuts": { type: "string" },
  "database-kills": { type: "string" },
  cuts: { type: "string" },
  stops: { type: "string" },
  "full-disks": { type: "string" },
  "io-errors": { type: "string" },
  "at-once": { type: "string" },
  sessions: { type: "string" },
  seed: { type: "string" },
  keep: { type: "boolean" },
  json: { type: "string" },
  sum: { type: "boolean" },
  require: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const numbers = [
  "kills",
  "power-cuts",
  "database-kills",
  "cuts",
  "stops",
  "full-disks",
  "io-errors",
  "at-once",
  "sessions",
  "seed",
] as const;

const progressMs = 5_000;

/** Not for git: histories that are kept, and compiled code. */
const cache = join(import.meta.dirname, "..", "..", ".cache");

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

const { values, positionals: files } = given();
if (values.help) say(help);
else if (values.sum) addUp(files);
else await torture();

function given(): ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>> {
  try {
    const parsed = parseArgs({ options, allowPositionals: true });
    const { values: found, positionals } = parsed;
    if (found.help) return parsed;
    if (found.sum !== (positionals.length > 0 ? true : undefined)) throw new Error("--sum takes files with figures, and nothing else does");
    if (found.sum) return parsed;
    if (!storeNames.includes(found.store as StoreName))
      throw new Error(`--store is ${storeNames.join(" or ")}, not "${found.store ?? ""}"`);
    if (found.require !== undefined && found.require !== "all") throw new Error(`--require all is what there is, not "${found.require}"`);
    for (const name of numbers)
      if (found[name] !== undefined && !/^\d{1,9}$/.test(found[name])) throw new Error(`--${name} is a whole number, not "${found[name]}"`);
    return parsed;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}\n`);
    process.exit(2);
  }
}

function count(name: (typeof numbers)[number]): number | undefined {
  return values[name] === undefined ? undefined : Number(values[name]);
}

async function torture(): Promise<void> {
  const seed = count("seed") ?? 1;
  const store = values.store as StoreName;
  const wanted = countsOf(store, {
    databaseKills: count("database-kills"),
    cuts: count("cuts"),
    kills: count("kills") ?? 40,
    powerCuts: count("power-cuts") ?? 0,
    stops: count("stops"),
    fullDisks: count("full-disks"),
    ioErrors: count("io-errors"),
  });
  const power = await Power.ready();
  const spares = new Spares(join(cache, "torture-compiled"), 3);
  const template = mkdtempSync(join(tmpdir(), "convergent-torture-"));
  const places = new Set<Place>();
  const databases = new Set<Database>();
  // However this ends, also by Ctrl-C: no process is left, no mount, no file.
  process.on("exit", () => {
    spares.kill();
    power?.end();
    for (const database of databases) void database.kill();
    for (const place of places) place.remove();
    rmSync(template, { recursive: true, force: true });
  });
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.on(signal, () => process.exit(code));
  const { counts, skipped } = possible(wanted, (place) => missing(store) ?? obstacle(place, power));
  for (const { fault, rounds, why } of skipped) say(`SKIPPED: ${rounds} ${manyOf(fault)}: ${why}`);
  if (missing(store) === undefined) await makeTemplate(store, template);
  const surroundings = { store, template, seed, sessions: count("sessions") ?? 48, spares, power, places, databases };
  const report = new Report(wanted, seed, skipped);
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const running = new Set<ChapterRun>();
  const progress = setInterval(() => say(report.progress(seconds(), [...running])), progressMs);
  const clock = watchUp(report, running);
  const chapters = planOf(counts, seed);
  const runNext = async (): Promise<void> => {
    for (let chapter = chapters.shift(); chapter !== undefined; chapter = chapters.shift()) {
      const run = new ChapterRun(chapter, { ...surroundings, done: (fault) => report.rounds[fault]++ });
      running.add(run);
      const judgement = await run.run();
      running.delete(run);
      report.add(chapter, run, judgement);
      if (judgement.violations.length > 0) report.kept(chapter, keep(chapter, seed, run));
      else if (values.keep) say(`the history of chapter ${chapter.number} is in ${keep(chapter, seed, run)}`);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, count("at-once") ?? 1) }, runNext));
  clearInterval(progress);
  clearInterval(clock);
  end(report, seconds());
}

/** Counts the time in which any server is up. */
function watchUp(report: Report, running: ReadonlySet<ChapterRun>): NodeJS.Timeout {
  let last = performance.now();
  return setInterval(() => {
    const now = performance.now();
    if ([...running].some(({ isUp }) => isUp)) report.upMs += now - last;
    last = now;
  }, 5);
}

function addUp(figures: readonly string[]): void {
  const parts = figures.map((file) => JSON.parse(readFileSync(file, "utf8")) as Part);
  for (const line of sumLines(parts)) say(line);
  if (parts.some(({ failed }) => failed > 0)) process.exitCode = 1;
}

function keep(chapter: Chapter, seed: number, { history }: ChapterRun): string {
  mkdirSync(cache, { recursive: true });
  const file = join(cache, `torture-${seed}-${chapter.number}.jsonl`);
  writeFileSync(file, historyText(history));
  return file;
}

function end(report: Report, seconds: number): void {
  for (const line of report.lines(seconds)) say(line);
  if (values.json !== undefined)
    writeFileSync(values.json, JSON.stringify({ store: values.store, ...report.figures(seconds, values.require === "all") }, undefined, 2));
  const { passed, failed, skipped } = report.counts(values.require === "all");
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exit(failed > 0 ? 1 : 0);
}
