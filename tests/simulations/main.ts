// `npm run simulate -- --seeds N`: many seeds on all cores, and what they found. With `--trace SEED` one seed, step by step.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { checkHistory, faultKinds, historyText, parseHistory, traceOf } from "convergent/simulator";
import { marks } from "./marks.ts";
import { releases, runSeed, shrinkSeed } from "./run-seed.ts";
import { Tally } from "./tally.ts";
import type { Order, Result } from "./worker.ts";

const help = `npm run simulate -- [options]

Runs the real code of log, readers, leases, views, gateway and client in virtual time, one run a seed, with faults.

  --seeds N      how many seeds (default 200)
  --seed S       the first of them (default 1)
  --steps N      steps of each before everything is healed (default 2000)
  --twice N      of the first N seeds, each is run twice and must make the same steps (default 20)
  --least N      how often each mark must be hit (default 0: they are only counted)
  --minutes N    ends after so long, with as many seeds as there was time for
  --until-failure  ends with the first seed that fails
  --jobs N       seeds at a time (default: one a core)
  --json FILE    writes the figures
  --trace        of one seed (--seed S): what happened, a line each; a failing one is made smaller first
  --check FILE   judges a history that was written before, as JSON lines, and runs nothing

Examples:
  npm run simulate -- --seeds 3000 --least 30
  npm run simulate -- --seed 375 --trace`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    steps: { type: "string" },
    twice: { type: "string" },
    least: { type: "string" },
    jobs: { type: "string" },
    "until-failure": { type: "boolean" },
    minutes: { type: "string" },
    json: { type: "string" },
    trace: { type: "boolean" },
    check: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

function count(name: "seeds" | "seed" | "steps" | "twice" | "least" | "jobs" | "minutes", otherwise: number): number {
  const text = values[name];
  if (text === undefined) return otherwise;
  if (!/^\d{1,15}$/.test(text)) throw new Error(`--${name} is a whole number, not "${text}"`);
  return Number(text);
}

/** Failing seeds that are told as they come; the last line names all. */
const shownMax = 10;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

if (values.help) say(help);
else if (values.check !== undefined) check(values.check);
else if (values.trace) await trace(count("seed", 1));
else await explore();

/** One seed, told in lines; its history lies in a file, for the checkers or for grep. */
async function trace(seed: number): Promise<void> {
  const steps = count("steps", 2000);
  const report = await runSeed(seed, { steps });
  const shown = report.violations.length > 0 ? await shrinkSeed(report, { steps }) : undefined;
  const { history, violations, hash } = shown?.report ?? report;
  for (const line of traceOf(history)) say(line);
  if (shown) {
    const { steps: left, servers, clients, faults, tries } = shown;
    say(
      `\nmade smaller in ${tries} runs: ${left} steps, ${servers} servers, ${clients} clients, ${Object.keys(faults).join(", ") || "no faults"}`,
    );
  }
  for (const { checker, message } of violations) say(`VIOLATION (${checker}): ${message}`);
  const folder = join(import.meta.dirname, "..", "..", ".cache");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `history-${seed}.jsonl`);
  writeFileSync(file, historyText(history));
  say(`\nseed ${seed}, hash ${hash}: ${violations.length} violations; the history is in ${file}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

function check(file: string): void {
  const history = parseHistory(readFileSync(file, "utf8"));
  const violations = checkHistory(history, releases);
  for (const { checker, message } of violations) say(`VIOLATION (${checker}): ${message}`);
  say(`${history.length.toLocaleString("en")} records: ${violations.length} violations`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

async function explore(): Promise<void> {
  const seeds = count("seeds", 200);
  const first = count("seed", 1);
  const twice = count("twice", 20);
  const tally = new Tally({
    seeds: values.minutes === undefined ? seeds : 1,
    least: count("least", 0),
    marks,
    kinds: Object.keys(faultKinds),
  });
  const jobs = Math.min(count("jobs", availableParallelism()), seeds);
  let next = 0;
  const startedAt = performance.now();
  let saidAt = startedAt;
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  const secondsMax = 60 * count("minutes", Number.POSITIVE_INFINITY);
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      const worker = new Worker(join(import.meta.dirname, "worker.ts"));
      while (next < seeds && seconds() < secondsMax && !(values["until-failure"] && tally.failed > 0)) {
        const seed = first + next++;
        const result = await ask(worker, { seed, steps: count("steps", 2000), twice: seed - first < twice });
        tally.add(result);
        if (tally.failed <= shownMax) for (const line of failuresOf(result)) say(line);
        if (performance.now() - saidAt > 5000) {
          saidAt = performance.now();
          say(
            `${tally.done.toLocaleString("en")} of ${seeds.toLocaleString("en")} seeds, ${(tally.done / seconds()).toFixed(1)} a second, ${tally.violations} violations`,
          );
        }
      }
      await worker.terminate();
    }),
  );
  for (const line of tally.report(seconds())) say(line);
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(tally.figures(seconds()), undefined, 2));
  process.exitCode = tally.failures.length > 0 ? 1 : 0;
}

function ask(worker: Worker, order: Order): Promise<Result> {
  return new Promise((resolve, reject) => {
    worker.once("message", (result: Result) => {
      worker.off("error", reject);
      resolve(result);
    });
    worker.once("error", reject);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, and no window
    worker.postMessage(order);
  });
}

function failuresOf({ seed, violations, differs }: Result): string[] {
  const reproduce = `npm run simulate -- --seed ${seed} --trace`;
  return [
    ...violations.slice(0, 3).map(({ checker, message }) => `seed ${seed} (${checker}): ${message}`),
    ...(differs ? [`seed ${seed} made other steps when it was run again`] : []),
    ...(violations.length > 0 || differs ? [`  reproduce: ${reproduce}`] : []),
  ];
}
