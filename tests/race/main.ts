// `npm run race -- --store postgres`: many writers in several processes race for positions, some of them roll back when they have theirs, and
// readers of every kind look on. Whoever reads position p must never see a lower one later.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import pg from "pg";
import { startPostgres } from "../../tools/postgres.ts";
import { checks } from "./judge.ts";
import { type Outcome, race } from "./race.ts";

const help = `npm run race -- --store postgres [options]

Writers in several processes append to one store, alone and in transactions; some roll back when their positions are given, because
they throw, because a version was expected that others had taken, and because the server ends their connection. A reader by plain SQL and
two in each process follow meanwhile. In the end: positions are dense, in the order of the commits, nobody skipped or doubled any, all that was
acknowledged is there once and where it was said, and nothing that was refused is.

  --store S        the store: postgres, on a server of the race's own, or in a schema of its own at DATABASE_URL
  --writers N      all together (default 16)
  --processes N    that they are divided over (default 4)
  --rollbacks P%   of the writers' turns that are rolled back (default 10%)
  --seconds N      that they write (default 60)
  --seed S         of what they do; moments are the machine's (default 1)
  --json FILE      writes the figures

The last line is "N passed, N failed, N skipped", counted in checks.`;

const options = {
  store: { type: "string" },
  writers: { type: "string", default: "16" },
  processes: { type: "string", default: "4" },
  rollbacks: { type: "string", default: "10%" },
  seconds: { type: "string", default: "60" },
  seed: { type: "string", default: "1" },
  json: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** Violations that are told one by one. */
const shownMax = 10;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

const values = given();
if (values.help) say(help);
else await main();

function given(): ReturnType<typeof parseArgs<{ options: typeof options }>>["values"] {
  try {
    const { values: found } = parseArgs({ options });
    if (found.help) return found;
    if (found.store !== "postgres") throw new Error(`--store is postgres, not "${found.store ?? ""}"`);
    for (const name of ["writers", "processes", "seconds", "seed"] as const)
      if (!/^[1-9]\d{0,5}$/.test(found[name])) throw new Error(`--${name} is a whole number above 0, not "${found[name]}"`);
    if (!/^\d{1,2}%$/.test(found.rollbacks)) throw new Error(`--rollbacks is a percentage below 100%, not "${found.rollbacks}"`);
    if (Number(found.processes) > Number(found.writers)) throw new Error("--processes is at most as many as --writers");
    return found;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}\n`);
    process.exit(2);
  }
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "convergent-race-"));
  const schema = `race_${process.pid}`;
  const own = process.env["DATABASE_URL"];
  // The server's own word on when each transaction was committed.
  const server = own ? undefined : await startPostgres(join(folder, "postgres"), { settings: { track_commit_timestamp: "on" } });
  const url = own ?? server?.url ?? "";
  try {
    say(
      `${values.writers} writers in ${values.processes} processes, ${values.rollbacks} rolled back, ${values.seconds} s, ${await versionAt(url)}`,
    );
    const outcome = await race({
      url,
      schema,
      directory: folder,
      writers: Number(values.writers),
      processes: Number(values.processes),
      rollbacks: Number(values.rollbacks.slice(0, -1)) / 100,
      seconds: Number(values.seconds),
      seed: Number(values.seed),
    });
    end(outcome);
  } finally {
    if (own) await asked(url, `DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function end(outcome: Outcome): void {
  for (const line of linesOf(outcome)) say(line);
  const { violations, complaints } = outcome;
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(figuresOf(outcome), undefined, 2));
  const { passed, failed } = countsOf(outcome);
  for (const { check, message } of violations.slice(0, shownMax)) say(`VIOLATION ${check}: ${message}`);
  for (const complaint of complaints.slice(0, shownMax)) say(`COMPLAINT ${complaint}`);
  say(`${passed} passed, ${failed} failed, 0 skipped`);
  if (failed > 0) process.exitCode = 1;
}

/** Each check is one, and that nobody complained is one more. */
function countsOf({ violations, complaints }: Outcome): { passed: number; failed: number; skipped: number } {
  const failed = new Set(violations.map(({ check }) => check)).size + (complaints.length > 0 ? 1 : 0);
  return { passed: checks.length + 1 - failed, failed, skipped: 0 };
}

function figuresOf(outcome: Outcome): Record<string, unknown> {
  return { ...countsOf(outcome), ...outcome, violations: tallyOf(outcome) };
}

function tallyOf({ violations }: Outcome): Record<string, number> {
  return Object.fromEntries(
    checks.map((check) => [check, violations.reduce((sum, each) => sum + (each.check === check ? each.count : 0), 0)]),
  );
}

function linesOf(outcome: Outcome): string[] {
  const { figures, told, events, transactions, seconds } = outcome;
  const number = (value: number): string => Math.round(value).toLocaleString("en-US");
  const ended = figures["own connection ended"] + figures["another's connection ended"];
  const rolledBack = figures.thrown + figures["own connection ended"];
  return [
    `${number(events)} events of ${number(told.acknowledged)} acknowledged appends in ${number(transactions)} transactions, ${number(events / seconds)} a second`,
    `rolled back when positions were given: ${number(rolledBack)} transactions (${((100 * rolledBack) / (rolledBack + transactions)).toFixed(1)} %), ${number(figures.thrown)} by throwing; ${number(ended)} connections ended; ${number(figures.conflicts)} conflicts`,
    `outcomes that stayed unknown: ${number(told.unknown)}, of which ${number(outcome.tookEffect)} had taken effect; repeats that found the first: ${number(figures["repeats that found the first"])}`,
    `${outcome.readers} readers in ${number(outcome.pages)} pages; ${outcome.commitTimes ? "the order of commits is the server's own" : "the server keeps no times of commits (track_commit_timestamp)"}`,
    ...Object.entries(tallyOf(outcome)).map(([check, count]) => `  ${check.padEnd(62)} ${count}`),
  ];
}

async function versionAt(url: string): Promise<string> {
  const [row] = await asked(url, "SELECT current_setting('server_version') AS version");
  return `PostgreSQL ${row?.["version"] ?? ""}`;
}

async function asked(url: string, text: string): Promise<Array<Record<string, string>>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, string>>(text)).rows;
  } finally {
    await client.end();
  }
}
