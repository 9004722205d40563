// `npm run saga-kills -- --store postgres`: the process that runs hundreds of sagas is killed again and again, for as long as is asked.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startPostgres } from "../../tools/postgres.ts";
import { killed, type Outcome } from "./kills.ts";

const help = `npm run saga-kills -- --store S [options]

A process starts sagas that move money between accounts, some of which fail half way, and gets SIGKILL in the middle; the next one takes over
what it left and starts its own. In the end every saga that was acknowledged is there, has one end, each step and each undo took effect
once, undos came in reverse order, and no money came or went.

  --store S    sqlite, or postgres: a server of its own
  --kills N    in chapters of 20, each on a store of its own (default 20)
  --sagas N    that each process starts (default 500)
  --seed S     of the moments, as far as the machine keeps to them (default 1)
  --json FILE  writes the figures

The last line is "N passed, N failed, N skipped", counted in kills. A chapter that fails fails with all its kills.`;

const chapterKills = 20;
const shownMax = 10;

const { values } = parseArgs({
  options: {
    store: { type: "string" },
    kills: { type: "string", default: "20" },
    sagas: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

if (values.help) say(help);
else if (values.store !== "sqlite" && values.store !== "postgres") refuse(`--store is sqlite or postgres, not "${values.store ?? ""}"`);
else if (![values.kills, values.sagas, values.seed].every((number) => /^[1-9]\d{0,5}$/.test(number)))
  refuse("--kills, --sagas and --seed are whole numbers above 0");
else await main(values.store);

function refuse(reason: string): void {
  process.stderr.write(`${reason}\n\n${help}\n`);
  process.exitCode = 2;
}

async function main(store: "sqlite" | "postgres"): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "convergent-saga-kills-"));
  const server = store === "postgres" ? await startPostgres(join(folder, "postgres"), {}) : undefined;
  if (server) process.env["CONVERGENT_TEST_DATABASE"] = server.url;
  const outcomes: Outcome[] = [];
  const wanted = Number(values.kills);
  try {
    for (let chapter = 0; chapter * chapterKills < wanted; chapter++) {
      const place = join(folder, `chapter-${chapter}`);
      mkdirSync(place);
      const outcome = await killed({
        kind: store,
        place,
        kills: Math.min(chapterKills, wanted - chapter * chapterKills),
        sagas: Number(values.sagas),
        fraction: fractions(Number(values.seed) + chapter),
      });
      outcomes.push(outcome);
      for (const violation of outcome.violations.slice(0, shownMax)) say(`VIOLATION ${violation}`);
      say(lineOf(outcomes));
      rmSync(place, { recursive: true, force: true });
    }
  } finally {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(outcomes, undefined, 2));
  const failed = sum(outcomes, ({ kills, violations }) => (violations.length > 0 ? kills : 0));
  say(`${sum(outcomes, ({ kills }) => kills) - failed} passed, ${failed} failed, 0 skipped`);
  if (failed > 0) process.exitCode = 1;
}

function lineOf(outcomes: readonly Outcome[]): string {
  const of = (figure: (outcome: Outcome) => number): string => sum(outcomes, figure).toLocaleString("en-US");
  return `${of(({ kills }) => kills)} kills: ${of(({ started }) => started)} sagas acknowledged, ${of(({ completed }) => completed)} completed, ${of(({ compensated }) => compensated)} compensated, ${of(({ taken }) => taken)} times taken over; ${of(({ violations }) => violations.length)} violations`;
}

function sum(outcomes: readonly Outcome[], figure: (outcome: Outcome) => number): number {
  return outcomes.reduce((total, outcome) => total + figure(outcome), 0);
}

/** Numbers from 0 (included) to 1 (excluded), the same for the same seed (a linear congruential generator, Numerical Recipes). */
function fractions(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
