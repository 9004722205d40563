// A primary and its standbys, by real streaming replication, and a service that reads from them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { accepted, command, entity, query, runtimeOf, service, type Token, view } from "convergent";
import { postgres, type PostgresOptions } from "convergent/postgres";
import pg from "pg";
import { afterAll, expect, onTestFinished } from "vitest";
import { z } from "zod";
import { type RunningPostgres, type Settings, signalled, startPostgres, startStandby } from "../../../tools/postgres.ts";
import { newPlace } from "./store-kinds.ts";

const Value = z.object({ n: z.number() });
const item = entity("item", { initial: () => ({ n: 0 }), events: { set: Value } })
  .evolve({ set: (_, data) => data })
  .commands({ set: command(Value, (_, input, emit) => emit.set(input)) });
const note = entity("note", { initial: () => ({}), events: { written: z.object({}) } })
  .evolve({ written: (state) => state })
  .commands({ write: command(z.object({}), (_state, _input, emit) => emit.written({})) });

const latest = view("latest", { version: 1, from: [item], document: Value, key: ({ entityId }) => entityId, indexes: ["n"] }).on({
  "item.set": (_, { data }) => data,
});
const largest = view("largest", { version: 1, from: [item], document: Value, key: () => "one", indexes: [], consistency: "strong" }).on({
  "item.set": (before, { data }) => ({ n: Math.max(before?.n ?? 0, data.n) }),
});

/** What the queries of `sums` do: between two questions, and how long one takes. */
export const during = { between: async (): Promise<void> => undefined, times: (): number => 1 };

const sums = view
  .sql("sums", { version: 1, from: [item], tables: { items: "id text PRIMARY KEY, n double precision NOT NULL" } })
  .on({
    "item.set": async ({ entityId, data }, sql) => {
      await sql.run("INSERT INTO {items} VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n", entityId, data.n);
    },
  })
  .queries({
    total: query(z.object({}), async (sql) => {
      await sql.get("SELECT count(*) AS items FROM {items}");
      await during.between();
      return (await sql.get<{ total: number | null }>("SELECT sum(n) AS total FROM {items}"))?.total ?? 0;
    }),
    copies: query(
      z.object({}),
      async (sql) =>
        (await sql.get<{ copies: number }>("SELECT count(*) AS copies FROM {items}, generate_series(1, $1::integer)", during.times()))
          ?.copies,
    ),
  });

const eventual = service("orders", { parts: { item, note, latest, sums } });
const strong = service("orders", { parts: { item, largest } });

/** Servers of one test file. */
export class Servers {
  readonly #folder = mkdtempSync(join(tmpdir(), "convergent-replicas-"));
  readonly #started: RunningPostgres[] = [];
  primary: RunningPostgres | undefined;

  constructor() {
    afterAll(async () => {
      for (const server of this.#started) for (const pid of server.pids()) signalled(pid, "SIGCONT");
      await Promise.all(this.#started.map((server) => server.kill()));
      rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  async start(name = "primary"): Promise<RunningPostgres> {
    const server = await startPostgres(join(this.#folder, name));
    this.#started.push(server);
    this.primary ??= server;
    return server;
  }

  /** A standby under a name; begun again under the same name and port, it goes on with its data. */
  async standby(name: string, options: { settings?: Settings; port?: number; of?: RunningPostgres } = {}): Promise<RunningPostgres> {
    const { of = this.primary, ...how } = options;
    if (!of) throw new Error("start the primary first");
    const server = await startStandby(of, join(this.#folder, name), how);
    this.#started.push(server);
    return server;
  }
}

export interface Setting {
  readonly primary: string;
  readonly replicas: readonly string[];
  readonly options?: PostgresOptions;
  /** Of a service that was started before. */
  readonly place?: string;
}

function driverOf({ primary, replicas, options, place = newPlace() }: Setting) {
  return { store: postgres({ primary, replicas }, { schema: basename(place), directory: place, ...options }) };
}

/** Starts the service; resolves once its replicas are used, or at once where that is not waited for. */
export async function open(setting: Setting, ready = setting.replicas.length) {
  const running = await eventual.start(driverOf(setting));
  onTestFinished(() => running.stop());
  const { log } = runtimeOf(running);
  const status = () => log.replicas?.status() ?? [];
  await expect.poll(() => status().filter(({ state }) => state === "ready").length).toBe(ready);
  return {
    ...running,
    waitFor: (token: Token) => running.waitFor(token),
    running,
    log,
    status,
    states: () => status().map(({ state }) => state),
    reads: () => status().reduce((sum, { reads }) => sum + reads, 0),
    set: async (id: string, n: number) => accepted(await running.item(id).set({ n })).token,
  };
}

export async function openStrong(setting: Setting) {
  const running = await strong.start(driverOf(setting));
  onTestFinished(() => running.stop());
  const { log } = runtimeOf(running);
  await expect.poll(() => log.replicas?.status().map(({ state }) => state)).toEqual(setting.replicas.map(() => "ready"));
  return { ...running, log };
}

/** Runs one statement on a server. */
export async function asked(server: { readonly url: string }, text: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    const result = await client.query<unknown[]>({ text, rowMode: "array" });
    return result.rows;
  } finally {
    await client.end();
  }
}

/** A standby replays nothing until the returned function is called, or the test ends. */
export async function paused(standby: RunningPostgres): Promise<() => Promise<void>> {
  await asked(standby, "SELECT pg_wal_replay_pause()");
  await expect.poll(async () => (await asked(standby, "SELECT pg_get_wal_replay_pause_state()"))[0]?.[0]).toBe("paused");
  const resume = async (): Promise<void> => void (await asked(standby, "SELECT pg_wal_replay_resume()"));
  onTestFinished(resume);
  return resume;
}

/** A server stands still, until the returned function is called. */
export function frozen(server: RunningPostgres): () => void {
  const pids = server.pids();
  for (const pid of pids) signalled(pid, "SIGSTOP");
  const thaw = (): void => void pids.map((pid) => signalled(pid, "SIGCONT"));
  onTestFinished(thaw);
  return thaw;
}
