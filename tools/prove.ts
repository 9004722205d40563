// `npm run prove`: what takes longer than continuous integration has. Many seeds, many real crashes, every mutant; one report at the
// end. Where the time does not suffice the numbers give way, never the count of violations: the report says how many there were.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const help = `npm run prove -- [options]

  --seeds N        of the simulator (default 200000)
  --minutes N      for the simulator: it ends with the seed it is at (default 180)
  --kills N        of real servers, on SQLite and on PostgreSQL, and of PostgreSQL itself (default 1000); it ends five times as many connections,
                   and a tenth as often, on each, the process that runs 500 sagas
  --power-cuts N   under them (default 500; needs root and ext4)
  --seed N         of the torture, and which seeds of the simulator come first (default 1): parts with seeds of their own add up
  --at-once N      stores that are tortured at a time (default 2); on cores that others use, 1 makes more load
  --json FOLDER    where the torture writes its figures; npm run torture -- --sum FOLDER/torture-*.json adds them up
  --without NAME   leaves a part out, by name: simulate, race, torture-sqlite, torture-postgres, saga-kills-sqlite, saga-kills-postgres, mutants; may be given several times

Ten times --kills 100 --power-cuts 50 --without simulate --without race --without mutants, with --seed 1 to 10, is one whole torture.
Takes some hours on two cores. Exits with 1 when anything was violated, survived or skipped.`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200000" },
    minutes: { type: "string", default: "180" },
    kills: { type: "string", default: "1000" },
    "power-cuts": { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    "at-once": { type: "string", default: "2" },
    json: { type: "string" },
    without: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", short: "h" },
  },
});

interface ProofPart {
  readonly name: string;
  /** Of the script; the part's name if it has none. */
  readonly script?: string;
  readonly args: readonly string[];
}

const seed = Number(values.seed);
const firstSimulated = String(1 + (seed - 1) * Number(values.seeds));

const parts: readonly ProofPart[] = [
  {
    name: "simulate",
    args: ["--seeds", values.seeds, "--seed", firstSimulated, "--minutes", values.minutes, "--twice", "1000", "--least", "30"],
  },
  { name: "race", args: ["--store", "postgres", "--writers", "16", "--processes", "4", "--rollbacks", "10%", "--seconds", "60"] },
  torture("sqlite", []),
  torture("postgres", ["--database-kills", values.kills, "--cuts", String(5 * Number(values.kills))]),
  ...["sqlite", "postgres"].map((store) => ({
    name: `saga-kills-${store}`,
    script: "saga-kills",
    args: ["--store", store, "--kills", String(Math.ceil(Number(values.kills) / 10)), "--seed", values.seed],
  })),
  { name: "mutants", args: ["--seeds", "3000"] },
];

if (values.help) process.stdout.write(`${help}\n`);
else prove();

function torture(store: string, more: readonly string[]): ProofPart {
  const json = values.json === undefined ? [] : ["--json", join(resolve(values.json), `torture-${store}-${seed}.json`)];
  const counts = ["--kills", values.kills, ...more, "--power-cuts", values["power-cuts"], "--require", "all"];
  return {
    name: `torture-${store}`,
    script: "torture",
    args: ["--store", store, ...counts, "--at-once", values["at-once"], "--seed", values.seed, ...json],
  };
}

function prove(): void {
  if (!Number.isInteger(seed) || seed < 1) throw new Error(`--seed is a whole number from 1 on, not "${values.seed}"`);
  const unknown = values.without.filter((name) => !parts.some((part) => part.name === name));
  if (unknown.length > 0) throw new Error(`--without ${unknown.join(", ")}: there is ${parts.map(({ name }) => name).join(", ")}`);
  if (values.json !== undefined) mkdirSync(values.json, { recursive: true });
  const outcomes: string[] = [];
  for (const { name, script = name, args } of parts) {
    if (values.without.includes(name)) continue;
    process.stdout.write(`\n── npm run ${script} -- ${args.join(" ")}\n`);
    const startedAt = performance.now();
    const { status } = spawnSync("npm", ["run", "--silent", script, "--", ...args], {
      cwd: join(import.meta.dirname, ".."),
      stdio: "inherit",
      shell: process.platform === "win32",
    });
    const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
    outcomes.push(`${status === 0 ? "ok    " : "FAILED"}  ${name.padEnd(20)} ${minutes.padStart(7)} min`);
    if (status !== 0) process.exitCode = 1;
  }
  process.stdout.write(`\n${outcomes.join("\n")}\n`);
}
