// `npm run torture -- --store sqlite --kills N`: real crashes of real processes on the real store, judged by the simulator's checkers.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { historyText } from "convergent/simulator";
import { ChapterRun } from "./chapter.ts";
import { obstacle, type Place } from "./places.ts";
import { type Chapter, countsOf, planOf, possible } from "./plan.ts";
import { Power } from "./power.ts";
import { manyOf, Report } from "./report.ts";
import { Spares } from "./servers.ts";
import { type Database, missing, type StoreName, storeNames } from "./stores.ts";

const help = `npm run torture -- --store sqlite [options]

Two server processes on one store, under load by real clients, die again and again; the simulator's checkers judge what is left.

  --store S        the store: sqlite, or postgres: a server of each run's own
  --kills N        rounds in which one server, or all, get SIGKILL (default 40)
  --power-cuts N   rounds in which the store's file system loses whatever was not synced (default 0; root, Linux, ext4)
  --database-kills N  rounds in which PostgreSQL itself gets SIGKILL, postmaster and all (default: kills / 2; postgres)
  --cuts N         rounds in which about half of the connections are ended by the server (default: as kills; postgres)
  --stops N        rounds in which a server stands still (SIGSTOP), also past its leases (default: kills / 25)
  --full-disks N   rounds in which the disk is full (default: kills / 20; root, Linux; sqlite)
  --io-errors N    rounds in which every write and sync fails under running servers (default: power cuts / 10; root, Linux, ext4; sqlite)
  --sessions N     clients, each with one request at a time (default 48)
  --seed S         of the plan and of what clients do; moments are the machine's (default 1)
  --keep           keeps the history of every chapter, not only of those that fail
  --json FILE      writes the figures
  --require all    what cannot be made here has failed; else it is skipped, by name

The last line is "N passed, N failed, N skipped", counted in rounds. A chapter that fails keeps its history.

Examples:
  npm run torture -- --store sqlite --kills 40 --power-cuts 30
  npm run torture -- --store postgres --kills 10 --power-cuts 3
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
  sessions: { type: "string" },
  seed: { type: "string" },
  keep: { type: "boolean" },
  json: { type: "string" },
  require: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const numbers = ["kills", "power-cuts", "database-kills", "cuts", "stops", "full-disks", "io-errors", "sessions", "seed"] as const;

const progressMs = 5_000;

/** Not for git: histories that are kept, and compiled code. */
const cache = join(import.meta.dirname, "..", "..", ".cache");

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

const values = given();
if (values.help) say(help);
else await torture();

function given(): ReturnType<typeof parseArgs<{ options: typeof options }>>["values"] {
  try {
    const { values: found } = parseArgs({ options });
    if (found.help) return found;
    if (!storeNames.includes(found.store as StoreName))
      throw new Error(`--store is ${storeNames.join(" or ")}, not "${found.store ?? ""}"`);
    if (found.require !== undefined && found.require !== "all") throw new Error(`--require all is what there is, not "${found.require}"`);
    for (const name of numbers)
      if (found[name] !== undefined && !/^\d{1,9}$/.test(found[name])) throw new Error(`--${name} is a whole number, not "${found[name]}"`);
    return found;
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
  const places = new Set<Place>();
  const databases = new Set<Database>();
  // However this ends, also by Ctrl-C: no process is left, no mount, no file.
  process.on("exit", () => {
    spares.kill();
    power?.end();
    for (const database of databases) void database.kill();
    for (const place of places) place.remove();
  });
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    process.on(signal, () => process.exit(code));
  const { counts, skipped } = possible(wanted, (place) => missing(store) ?? obstacle(place, power));
  for (const { fault, rounds, why } of skipped) say(`SKIPPED: ${rounds} ${manyOf(fault)}: ${why}`);
  const report = new Report(wanted, seed, skipped);
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  for (const chapter of planOf(counts, seed)) {
    const run = new ChapterRun(chapter, {
      store,
      seed,
      sessions: count("sessions") ?? 48,
      spares,
      power,
      places,
      databases,
      done: (fault) => report.rounds[fault]++,
    });
    const progress = setInterval(() => say(report.progress(seconds(), run)), progressMs);
    const judgement = await run.run().finally(() => clearInterval(progress));
    report.add(chapter, run, judgement);
    if (judgement.violations.length > 0) report.kept(chapter, keep(chapter, seed, run));
    else if (values.keep) say(`the history of chapter ${chapter.number} is in ${keep(chapter, seed, run)}`);
  }
  end(report, seconds());
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
    writeFileSync(values.json, JSON.stringify(report.figures(seconds, values.require === "all"), undefined, 2));
  const { passed, failed, skipped } = report.counts(values.require === "all");
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exit(failed > 0 ? 1 : 0);
}
