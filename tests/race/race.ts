/**
 * One race: processes that write and follow, somebody who reads the table of events by plain SQL all the while, and in the end what
 * the table holds, as the server that kept it says itself.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import { type CountOfStream, counts } from "./counts-reader.ts";
import { Follower } from "./follower.ts";
import { judge, type Row, type Seen, type Told, type Violation } from "./judge.ts";
import { type Figures, figureNames, type Order, type Said } from "./orders.ts";

export interface RaceOptions {
  readonly url: string;
  readonly schema: string;
  /** For the processes' own files. */
  readonly directory: string;
  readonly writers: number;
  readonly processes: number;
  readonly rollbacks: number;
  readonly seconds: number;
  readonly seed: number;
}

export interface Outcome {
  readonly violations: readonly Violation[];
  readonly complaints: readonly string[];
  readonly figures: Figures;
  readonly told: Readonly<Record<Told["outcome"], number>>;
  /** Of outcomes that stayed unknown. */
  readonly tookEffect: number;
  readonly events: number;
  /** Transactions whose events are in the log. */
  readonly transactions: number;
  /** Whether the server kept the times of commits, so that their order could be compared. */
  readonly commitTimes: boolean;
  readonly readers: number;
  readonly pages: number;
  readonly seconds: number;
}

const startWithinMs = 60_000;
const endWithinMs = 120_000;

/** Of the plain reader, when there was nothing new. */
const sqlPauseMs = 4;

const readPage = (schema: string): string => `SELECT position, id FROM "${schema}".events WHERE position > $1 ORDER BY position LIMIT 5000`;

const readRows = (schema: string, commitTimes: boolean): string =>
  `SELECT position, id, stream, version, at, data, xmin::text AS transaction,
    ${commitTimes ? "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint" : "NULL"} AS committed
  FROM "${schema}".events ORDER BY position`;

class RacingProcess {
  readonly #child: ChildProcess;
  readonly #said: Said[] = [];
  readonly #complaints: string[];
  readonly #name: string;
  #wake: () => void = () => undefined;

  constructor(name: string, complaints: string[]) {
    this.#name = name;
    this.#complaints = complaints;
    this.#child = fork(join(import.meta.dirname, "process.ts"), [], {
      execArgv: ["--conditions=convergent-source"],
      serialization: "advanced",
    });
    this.#child.on("message", (said: Said) => {
      if (said.kind === "complaint") complaints.push(said.message);
      this.#said.push(said);
      this.#wake();
    });
    this.#child.on("exit", () => this.#wake());
  }

  tell(order: Order): void {
    this.#child.send(order, () => undefined);
  }

  async heard<Kind extends Said["kind"]>(kind: Kind, withinMs: number): Promise<Extract<Said, { kind: Kind }>> {
    const late = performance.now() + withinMs;
    for (;;) {
      const found = this.#said.find((said) => said.kind === kind);
      if (found) return found as Extract<Said, { kind: Kind }>;
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null || performance.now() > late)
        throw new Error(`${this.#name} did not come to "${kind}" (${signalCode ?? exitCode ?? "it runs"}); ${this.#complaints[0] ?? ""}`);
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), sleep(200)]);
    }
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

export async function race(options: RaceOptions): Promise<Outcome> {
  const { schema, directory, processes } = options;
  const url = new URL(options.url);
  const application = `race ${schema}`;
  url.searchParams.set("application_name", application);
  const complaints: string[] = [];
  const client = new pg.Client({ connectionString: options.url });
  await client.connect();
  const racing = Array.from({ length: processes }, (_, index) => new RacingProcess(`process ${index + 1}`, complaints));
  try {
    racing.forEach((one, index) => {
      const writers = Math.floor((options.writers + index) / processes);
      const { rollbacks, seed } = options;
      one.tell({ do: "open", orders: { url: url.href, schema, directory, application, process: index + 1, writers, rollbacks, seed } });
    });
    await Promise.all(racing.map((one) => one.heard("opened", startWithinMs)));
    const end = { at: Infinity };
    const plain = new Follower("plain SQL");
    const following = followBySql(plain, { client, schema, end });
    for (const one of racing) one.tell({ do: "write" });
    const startedAt = performance.now();
    await sleep(options.seconds * 1000);
    for (const one of racing) one.tell({ do: "rest" });
    const written = await Promise.all(racing.map((one) => one.heard("written", endWithinMs)));
    const seconds = (performance.now() - startedAt) / 1000;
    end.at = await headOf(options.url, schema);
    for (const one of racing) one.tell({ do: "end", at: end.at });
    await following;
    const followed = await Promise.all(racing.map((one) => one.heard("seen", endWithinMs)));
    const table = await tableOf(client, schema);
    complaints.push(...(await miscounts(options, table.rows)));
    const told = written.flatMap((one) => one.told);
    const seen: Seen[] = [plain.seen(), ...followed.flatMap((one) => one.seen)];
    return {
      violations: judge(table.rows, told, seen),
      complaints,
      figures: sumOf(written.map((one) => one.figures)),
      ...countsOf(told, table.rows),
      events: table.rows.length,
      transactions: table.transactions,
      commitTimes: table.commitTimes,
      readers: seen.length,
      pages: plain.pages + followed.reduce((sum, one) => sum + one.pages, 0),
      seconds,
    };
  } finally {
    for (const one of racing) one.kill();
    await client.end();
  }
}

/** Asks again and again, as anybody could who knows nothing of the toolkit. */
async function followBySql(
  plain: Follower,
  { client, schema, end }: { client: pg.Client; schema: string; end: { readonly at: number } },
): Promise<void> {
  const text = readPage(schema);
  while (plain.position < end.at) {
    const { rows } = await client.query<{ position: string; id: string }>(text, [plain.position]);
    plain.page(rows.map(({ position, id }) => ({ position: Number(position), id })));
    await sleep(rows.length === 0 ? sqlPauseMs : 0);
  }
}

async function headOf(url: string, schema: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ head: string | null }>(`SELECT max(position) AS head FROM "${schema}".events`);
    return Number(rows[0]?.head ?? 0);
  } finally {
    await client.end();
  }
}

async function tableOf(client: pg.Client, schema: string): Promise<{ rows: Row[]; transactions: number; commitTimes: boolean }> {
  const { rows: settings } = await client.query<{ kept: string }>("SELECT current_setting('track_commit_timestamp') AS kept");
  const commitTimes = settings[0]?.kept === "on";
  const { rows } = await client.query<Record<string, string>>(readRows(schema, commitTimes));
  return {
    rows: rows.map((row) => ({
      position: Number(row["position"]),
      id: String(row["id"]),
      stream: String(row["stream"]),
      version: Number(row["version"]),
      at: Number(row["at"]),
      ...(JSON.parse(String(row["data"])) as { append: string; index: number }),
      ...(row["committed"] ? { committedAt: BigInt(row["committed"]) } : {}),
    })),
    transactions: new Set(rows.map((row) => row["transaction"])).size,
    commitTimes,
  };
}

/** Where the shared view is not what the log says. */
async function miscounts({ url, schema, directory }: RaceOptions, rows: readonly Row[]): Promise<string[]> {
  const expected = new Map<string, CountOfStream>();
  for (const { stream, position, version } of rows) expected.set(stream, { events: version, position });
  const log = await Log.open(postgres(url, { schema, directory }), "race");
  try {
    const streams = [...expected.keys()];
    const texts = await log.snapshot((tx) => tx.documents(counts.view, counts.version, streams));
    return streams.flatMap((stream, index) => {
      const text = JSON.stringify(expected.get(stream));
      return texts[index] === text ? [] : [`the view has ${texts[index] ?? "nothing"} of ${stream}, and the log ${text}`];
    });
  } finally {
    await log.close();
  }
}

function sumOf(all: readonly Figures[]): Figures {
  return Object.fromEntries(figureNames.map((name) => [name, all.reduce((sum, each) => sum + each[name], 0)])) as Figures;
}

function countsOf(told: readonly Told[], rows: readonly Row[]): Pick<Outcome, "told" | "tookEffect"> {
  const written = new Set(rows.map((row) => row.append));
  const of = (outcome: Told["outcome"]): Told[] => told.filter((each) => each.outcome === outcome);
  return {
    told: { acknowledged: of("acknowledged").length, refused: of("refused").length, unknown: of("unknown").length },
    tookEffect: of("unknown").filter(({ append }) => written.has(append)).length,
  };
}
