// `npm run verify`: every check of the repository, in the order in which they are cheapest to fail. A failing step does not stop the
// later ones, so that one run shows everything. Simulations and torture run beside each other. The last line of the output is always `N passed, N failed, N skipped`: tests and
// rounds of torture by number, and each other step that fails as one more failure. Anything failed or skipped makes the exit code 1.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { failuresIn, summarize, summarizeSimulations, type Counts, type SimulationFigures, type VitestReport } from "./test-counts.ts";

const root = join(import.meta.dirname, "..");
const scratch = mkdtempSync(join(tmpdir(), "convergent-verify-"));
const report = join(scratch, "tests.json");
const figures = join(scratch, "simulations.json");
const tortured = { sqlite: join(scratch, "torture-sqlite.json"), postgres: join(scratch, "torture-postgres.json") };

type Step = {
  readonly name: string;
  readonly commands: readonly (readonly string[])[];
  readonly counts?: () => Counts;
  /** Lines about what failed. */
  readonly failures?: () => readonly string[];
  readonly onlyIfFailed?: boolean;
};

const checks: readonly Step[] = [
  { name: "lint", commands: [["npm", "run", "--silent", "lint"]] },
  { name: "format", commands: [["npm", "run", "--silent", "format:check"]] },
  { name: "types", commands: [["npm", "run", "--silent", "typecheck"]] },
  { name: "build", commands: [["npm", "run", "--silent", "build"]] },
  {
    name: "tests",
    commands: [["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`]],
    counts: () => summarize(testReport()),
    failures: () => failuresIn(testReport()),
  },
];

// One core each, and the torture waits much of the time.
const simulations: readonly Step[] = [
  {
    name: "simulations",
    commands: [["npm", "run", "--silent", "simulate", "--", "--seeds", "3000", "--twice", "100", "--least", "30", "--json", figures]],
    counts: () => summarizeSimulations(JSON.parse(readFileSync(figures, "utf8")) as SimulationFigures),
  },
];
const tortures: readonly Step[] = [
  {
    name: "torture: sqlite",
    commands: [torture("sqlite", ["--kills", "40", "--power-cuts", "30"])],
    counts: () => JSON.parse(readFileSync(tortured.sqlite, "utf8")) as Counts,
  },
  {
    name: "torture: postgres",
    commands: [torture("postgres", ["--kills", "10", "--database-kills", "10", "--cuts", "20", "--power-cuts", "3"])],
    counts: () => JSON.parse(readFileSync(tortured.postgres, "utf8")) as Counts,
  },
];

const packages: readonly Step[] = [
  { name: "unused", commands: [["knip"]] },
  {
    name: "package",
    commands: ["convergent", "server"].map((name) => ["publint", "run", `packages/${name}`, "--strict", "--pack", "npm"]),
  },
  {
    name: "package types",
    commands: ["convergent", "server"].map((name) => ["attw", "--pack", `packages/${name}`, "--profile", "esm-only", "--format", "ascii"]),
    onlyIfFailed: true,
  },
];

function testReport(): VitestReport {
  return JSON.parse(readFileSync(report, "utf8")) as VitestReport;
}

function torture(store: keyof typeof tortured, rounds: readonly string[]): readonly string[] {
  return ["npm", "run", "--silent", "torture", "--", "--store", store, ...rounds, "--json", tortured[store]];
}

// Tests and torture start hundreds of processes: what one of them has compiled the others need not (0.3 s of CPU a start by 0.8).
const compiled = { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? join(scratch, "compiled") };
const env = { ...process.env, ...compiled, PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env["PATH"] ?? ""}` };
const outcomes: { readonly name: string; readonly ok: boolean; readonly seconds: number }[] = [];
const failed: string[] = [];
const total = { passed: 0, failed: 0, skipped: 0 };

/** One after another; `named`: each line says which one it is of, because others run beside it. */
async function all(steps: readonly Step[], named?: "named"): Promise<void> {
  for (const step of steps) await take(step, named !== undefined);
}

async function take({ name, commands, counts, failures, onlyIfFailed = false }: Step, isNamed: boolean): Promise<void> {
  console.log(`\n── ${name}`);
  const startedAt = performance.now();
  let ok = true;
  for (const command of commands) ok = (await run(command, onlyIfFailed ? "if failed" : isNamed ? name : "as it comes")) && ok;
  const counted = counts === undefined ? undefined : countOrNone(counts);
  if (counted !== undefined) {
    total.passed += counted.passed;
    total.failed += counted.failed;
    total.skipped += counted.skipped;
    ok &&= counted.failed === 0 && counted.skipped === 0;
  }
  if (!ok && counted && failures) failed.push(...failures());
  const isCounted = counted !== undefined && counted.failed + counted.skipped > 0;
  if (!ok && !isCounted) total.failed += 1;
  outcomes.push({ name, ok, seconds: (performance.now() - startedAt) / 1000 });
}

/** Answers whether it succeeded. What it says is shown as it comes, behind a name, or only if it failed: some say a page when all is well. */
async function run([command = "", ...args]: readonly string[], shown: string): Promise<boolean> {
  const isKept = shown === "if failed";
  const child = spawn(command, args, {
    cwd: root,
    env,
    stdio: shown === "as it comes" ? "inherit" : ["ignore", "pipe", "pipe"],
    shell: process.platform === "win32",
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    if (stream)
      createInterface({ input: stream }).on("line", (line) => (isKept ? void lines.push(line) : console.log(`${shown}: ${line}`)));
  const status = await new Promise<number | null>((resolve) => {
    child.once("close", resolve);
    child.once("error", (error) => {
      console.error(`verify: ${command} could not be started:`, error.message);
      resolve(null);
    });
  });
  if (isKept) console.log(status === 0 ? `${[command, ...args].join(" ")}: ok` : lines.join("\n"));
  return status === 0;
}

function countOrNone(counts: () => Counts): Counts | undefined {
  try {
    return counts();
  } catch (cause) {
    console.error("verify: the test report could not be read:", cause);
    return undefined;
  }
}

await all(checks);
await Promise.all([all(simulations, "named"), all(tortures, "named")]);
await all(packages);

rmSync(scratch, { recursive: true, force: true });
console.log("");
for (const { name, ok, seconds } of outcomes)
  console.log(`${ok ? "ok    " : "FAILED"}  ${name.padEnd(18)} ${seconds.toFixed(1).padStart(6)} s`);
for (const line of failed) console.log(line);
if (total.skipped > 0) console.log("What is skipped counts as a failure: make it run here, or remove it.");
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;
