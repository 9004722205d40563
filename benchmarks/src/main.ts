// `npm run bench -- NAME [--json FILE]`: measures Convergent beside its peers on this machine. Not a timed test: ratios are
// printed against their floors and aims, and none of them fails the run. Only a sample that could not be taken does.
import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benches, findBench } from "./benches/index.ts";
import { machine } from "./harness/machine.ts";
import { inText, report } from "./harness/report.ts";
import { runBench } from "./harness/run.ts";
import { killRunning } from "./harness/spawn.ts";
import { WorkDirectory } from "./harness/work-directory.ts";

const samplesDefault = 5;
const boxMs = 10_000;

const usage = `npm run bench -- NAME [--json FILE] [--only GROUP] [--samples N]

  --json FILE    also write { name, machine, ratios, figures } to FILE
  --only GROUP   measure one group of the bench; ratios that need others are left out
  --samples N    samples of each figure (default ${samplesDefault}); fewer than ${samplesDefault} is for trying things out, not for quoting
  --list         list the benches and their groups
  --help         this text`;

function list(): string {
  const named = benches.map(
    (bench) => `  ${bench.name.padEnd(16)} ${bench.summary}\n  ${"".padEnd(16)} groups: ${bench.groups.map(({ name }) => name).join(", ")}`,
  );
  return `benches:\n${named.join("\n")}`;
}

function refuse(reason: string): never {
  console.error(`bench: ${reason}`);
  process.exit(2);
}

function options(): { name: string; json: string | undefined; only: string | undefined; samples: number } {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "string" },
        only: { type: "string" },
        samples: { type: "string" },
        list: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    refuse(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
  const { values, positionals } = parsed;
  if (values.help || values.list) {
    console.log(values.help ? `${usage}\n\n${list()}` : list());
    process.exit(0);
  }
  const [name, ...more] = positionals;
  if (name === undefined) refuse(`name a bench\n\n${usage}\n\n${list()}`);
  if (more.length > 0) refuse(`one bench at a time; ${more.join(", ")} came after ${name}`);
  const samples = Number(values.samples ?? samplesDefault);
  if (!Number.isInteger(samples) || samples < 1) refuse(`--samples wants a whole number from 1, not ${values.samples}`);
  return { name, json: values.json, only: values.only, samples };
}

const { name, json, only, samples } = options();
const found = findBench(name);
if (found === undefined) refuse(`there is no bench named ${name}\n${list()}`);
const groups = found.groups.filter((group) => only === undefined || group.name === only);
if (groups.length === 0) refuse(`${name} has no group named ${only}; it has ${found.groups.map((group) => group.name).join(", ")}`);
const bench = { ...found, groups };

// Now, and not after ten minutes.
if (json !== undefined) appendFileSync(json, "");
const work = new WorkDirectory();
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.on(signal, () => {
    killRunning();
    work.close();
    process.exit(code);
  });
}
const startedAt = performance.now();
const progress = (line: string): void => {
  const elapsed = Math.round((performance.now() - startedAt) / 1_000);
  console.error(`[${String(Math.floor(elapsed / 60)).padStart(2)}:${String(elapsed % 60).padStart(2, "0")}] ${line}`);
};
try {
  const results = await runBench(bench, { samples, boxMs, work, progress });
  const made = report(bench, results, machine(work.path));
  console.log(`\n${inText(bench, results, made)}`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(made, undefined, 2)}\n`);
  process.exitCode = results.failed ? 1 : 0;
} finally {
  work.close();
}
