/**
 * A replay from beginning to end: count the file, start a server, send it every line, kill it on the way when asked to,
 * wait for the views, and compare what it says with what was counted.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { connect } from "convergent/client";
import { nodeHost } from "convergent/node";
import type { loans } from "../definitions/loans.ts";
import { eventLines } from "../file/event-file.ts";
import { type Tally, tally } from "../file/tally.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { ask, awaitViews } from "./answers.ts";
import { DefinitionChange } from "./definition-change.ts";
import { type CrashPoint, crashPlan } from "./crash-plan.ts";
import type { LoansClient } from "./command-of-line.ts";
import { type Check, checksOf, type Evidence } from "./checks.ts";
import { feed } from "./feed.ts";
import type { ReplayOptions } from "./options.ts";
import { showProgress } from "./progress.ts";
import { readerLags } from "./reader-lag.ts";
import { checkTable, seconds, visibilityTable } from "./report.ts";
import type { ServerStore } from "./server-process.ts";
import { Servers } from "./servers.ts";

export interface Replayed {
  readonly evidence: Evidence;
  readonly checks: readonly Check[];
  readonly crashes: number;
}

/** A server that is away for longer than this does not come back. */
const awayMax = "60s";

/** Replays a file. Aborting `signal` kills the server and removes the temporary folder. Throws `FileError`, and what ends a server. */
export async function replay(options: ReplayOptions, output: NodeJS.WriteStream, signal: AbortSignal): Promise<Replayed> {
  const expected = await tally(eventLines(options.file, limitOf(options)));
  // What is known of the whole file says nothing about a part of it.
  if (options.limit !== undefined) expected.known = false;
  const directory = options.data ?? (await mkdtemp(join(tmpdir(), "convergent-replay-")));
  const isTemporary = options.data === undefined && !options.keep;
  try {
    const { store } = options;
    const folder = isTemporary ? "a temporary folder" : directory;
    output.write(`${announcement(options, expected, store === "sqlite" ? folder : `PostgreSQL at ${new URL(store.postgres).host}`)}\n`);
    const database = store === "sqlite" ? undefined : store.postgres;
    return await replayInto({ directory, database }, options, { expected, output, signal });
  } finally {
    if (isTemporary) await rm(directory, { recursive: true, force: true });
  }
}

interface Surroundings {
  readonly expected: Tally;
  readonly output: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

async function replayInto(store: ServerStore, options: ReplayOptions, { expected, output, signal }: Surroundings): Promise<Replayed> {
  const died = Promise.withResolvers<never>();
  const servers = await Servers.start(options.processes, store, died.reject);
  const cancel = (): void => died.reject(signal.reason instanceof Error ? signal.reason : new Error("cancelled"));
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const run = new Run({ servers, options, expected, fail: died.reject });
    const replayed = await Promise.race([run.finish(output), died.promise]);
    await servers.stop();
    return replayed;
  } finally {
    signal.removeEventListener("abort", cancel);
    await servers.kill();
  }
}

class Run {
  readonly #servers: Servers;
  readonly #options: ReplayOptions;
  readonly #expected: Tally;
  readonly #fail: (error: Error) => void;
  readonly #acknowledgements = new Acknowledgements();
  readonly #change: DefinitionChange | undefined;
  #crashes = 0;

  constructor(parts: { servers: Servers; options: ReplayOptions; expected: Tally; fail: (error: Error) => void }) {
    this.#servers = parts.servers;
    this.#options = parts.options;
    this.#expected = parts.expected;
    this.#fail = parts.fail;
    if (parts.options.changeDefinition) this.#change = new DefinitionChange(parts.servers, parts.expected.lines);
  }

  async finish(output: NodeJS.WriteStream): Promise<Replayed> {
    const { urls } = this.#servers;
    const clients = urls.map((url) => connect<typeof loans>(url, { retryFor: awayMax, host: nodeHost() }));
    const [client, url] = [clients[0] as LoansClient, urls[0] as string];
    const began = performance.now();
    await this.#feed(clients, output);
    const fed = performance.now();
    await this.#change?.finished();
    await Promise.all(clients.map(awaitViews));
    const caughtUp = performance.now();
    output.write(`${this.#speed(fed - began, caughtUp - fed)}\n${visibilityTable(await readerLags(url))}\n`);
    const applications = this.#expected.applications;
    const statuses = [...applications.values()].map(({ status }) => status);
    const { concurrency } = this.#options;
    const answers = await ask({ client, urls, concurrency, applications: applications.keys(), statuses });
    const evidence = { tally: this.#expected, answers, acknowledgements: this.#acknowledgements };
    const checks = [...checksOf(evidence), ...((await this.#change?.checks(this.#expected, answers.documents)) ?? [])];
    output.write(`Asked about everything in ${seconds(performance.now() - caughtUp)}:\n\n${checkTable(checks)}\n`);
    return { evidence, checks, crashes: this.#crashes };
  }

  async #feed(clients: readonly LoansClient[], output: NodeJS.WriteStream): Promise<void> {
    const { crashes, seed, concurrency, file } = this.#options;
    const plan = [...crashPlan(crashes, this.#expected.lines, seed)];
    const blows: Promise<void>[] = [];
    const acknowledgements = this.#acknowledgements;
    const change = this.#change;
    const hide = showProgress(
      {
        linesTotal: this.#expected.lines,
        crashesTotal: crashes,
        lines: () => acknowledgements.count,
        crashes: () => this.#crashes,
        url: () => this.#servers.urls[0] as string,
      },
      output,
    );
    try {
      await feed({
        clients,
        concurrency,
        acknowledgements,
        lines: eventLines(file, limitOf(this.#options)),
        ...(change ? { onState: (client, line, state) => change.acknowledged(client, line, state) } : {}),
        onAcknowledged: (count) => {
          if (plan[0] && count >= plan[0].lines) blows.push(this.#blow(plan.shift() as CrashPoint, blows.at(-1)).catch(this.#fail));
        },
      });
      await Promise.all(blows);
    } finally {
      hide();
    }
  }

  async #blow({ delayMs }: CrashPoint, before: Promise<void> | undefined): Promise<void> {
    await before;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await this.#servers.crash();
    this.#crashes += 1;
  }

  #speed(feedMs: number, catchUpMs: number): string {
    const { count, repeated } = this.#acknowledgements;
    const { crashes } = this.#options;
    const perSecond = Math.round(count / (feedMs / 1000)).toLocaleString("en");
    const killed =
      crashes === 0
        ? ""
        : `\nKilled ${this.#crashes} of ${crashes} times; ${repeated} lines had taken effect although their answer was lost.`;
    const changed = this.#change ? `\n${this.#change.summary}` : "";
    return `${count.toLocaleString("en")} lines acknowledged in ${seconds(feedMs)}: ${perSecond} lines/s. The views had all of them ${seconds(catchUpMs)} later.${killed}${changed}
From a write until it is visible${crashes === 0 ? "" : ", since the last start"}:`;
  }
}

function limitOf({ limit }: ReplayOptions): { limit?: number } {
  return limit === undefined ? {} : { limit };
}

function announcement(options: ReplayOptions, expected: Tally, where: string): string {
  const { file, crashes, seed, concurrency, changeDefinition, processes } = options;
  const size = `${expected.lines.toLocaleString("en")} lines of ${expected.applications.size.toLocaleString("en")} applications in ${basename(file)}`;
  const crash = crashes === 0 ? "" : `; ${processes === 1 ? "the server is" : "servers are"} killed ${crashes} times (--seed ${seed})`;
  return `${size}; ${concurrency} applications at a time, ${processes === 1 ? "" : `${processes} processes, `}data in ${where}${crash}${changeDefinition ? "; a definition changes half way" : ""}`;
}
