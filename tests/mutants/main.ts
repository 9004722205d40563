// `npm run mutants`: wrong versions of our own code, one at a time; each must be caught by the simulator or by the suites that its
// patch names. What survives says what is not tested.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Mutant } from "./mutant.ts";
import { mutants } from "./mutants.ts";
import { Sandbox } from "./sandbox.ts";

const help = `npm run mutants -- [NAME ...] [options]

Applies wrong versions of the toolkit's code to a copy of it, one at a time, and runs the simulator, then the suites that a mutant
names, until something catches it. Without names: all of them.

  --seeds N      seeds that the simulator has for each (default 600)
  --json FILE    writes what caught which
  --list         names and reasons, and nothing is run`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: "string" }, json: { type: "string" }, list: { type: "boolean" }, help: { type: "boolean", short: "h" } },
});

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

/** A wrong version may make a run that never ends; a right one needs a fifth of this. */
const simulatorMs = 60_000 + 500 * Number(values.seeds ?? 600);

/** What caught a mutant; undefined when nothing did. */
type Catch = string | undefined;

if (values.help) say(help);
else if (values.list) for (const { name, reason } of mutants) say(`${name.padEnd(36)} ${reason}`);
else run();

function run(): void {
  const unknown = positionals.filter((name) => !mutants.some((mutant) => mutant.name === name));
  if (unknown.length > 0) throw new Error(`there is no mutant ${unknown.join(", ")}; --list names them`);
  const chosen = positionals.length > 0 ? mutants.filter(({ name }) => positionals.includes(name)) : mutants;
  const sandbox = new Sandbox();
  const caught = new Map<string, Catch>();
  try {
    for (const [index, mutant] of chosen.entries()) {
      const mend = sandbox.apply(mutant);
      const startedAt = performance.now();
      const by = (mutant.beyondSimulator ? undefined : simulated(sandbox)) ?? tested(sandbox, mutant);
      mend();
      caught.set(mutant.name, by);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
      say(`${String(index + 1).padStart(3)} of ${chosen.length}  ${mutant.name.padEnd(36)} ${by ?? "SURVIVED"} (${seconds} s)`);
    }
  } finally {
    sandbox.remove();
  }
  const survivors = [...caught].filter(([, by]) => by === undefined).map(([name]) => name);
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(Object.fromEntries(caught), undefined, 2));
  if (survivors.length > 0) say(`not caught: ${survivors.join(", ")}`);
  say(`${chosen.length - survivors.length} passed, ${survivors.length} failed, 0 skipped`);
  process.exitCode = survivors.length > 0 ? 1 : 0;
}

function simulated({ folder }: Sandbox): Catch {
  const file = join(folder, "figures.json");
  rmSync(file, { force: true });
  const args = ["--seeds", values.seeds ?? "600", "--until-failure", "--twice", "0", "--json", file];
  const { status, stderr, error } = spawnSync(
    process.execPath,
    ["--conditions=convergent-source", join(folder, "tests", "simulations", "main.ts"), ...args],
    {
      cwd: folder,
      encoding: "utf8",
      timeout: simulatorMs,
    },
  );
  if (status === 0) return undefined;
  if (error) return `simulator: it did not end within ${simulatorMs / 1000} s`;
  try {
    const { failed, checkers } = JSON.parse(readFileSync(file, "utf8")) as { failed: readonly number[]; checkers: readonly string[] };
    return `simulator: ${checkers.join(", ")} (seed ${failed[0] ?? "?"})`;
  } catch {
    return `simulator: it ended early (${/\w*Error.*/.exec(stderr)?.[0] ?? "no reason given"})`;
  }
}

function tested({ folder }: Sandbox, { suites = [] }: Mutant): Catch {
  if (suites.length === 0) return undefined;
  const vitest = join(folder, "node_modules", "vitest", "vitest.mjs");
  const { status, stdout } = spawnSync(process.execPath, [vitest, "run", "--bail=1", "--reporter=default", ...suites], {
    cwd: folder,
    encoding: "utf8",
    timeout: 600_000,
    env: { ...process.env, NO_COLOR: "1" },
  });
  if (status === 0) return undefined;
  const first = /(?:FAIL|×)\s+(.+)/.exec(stdout)?.[1];
  if (first === undefined) throw new Error(`vitest ended with ${status} and names no test:\n${stdout.slice(-2000)}`);
  return `test: ${first.slice(0, 160)}`;
}
