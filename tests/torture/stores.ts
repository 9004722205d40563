/**
 * The stores that can be tortured: how a server process opens one, and what runs beside the servers. SQLite is a file, and
 * nothing runs; of PostgreSQL each chapter has a server of its own, whose data lie in the chapter's place.
 */
import { dirname, join } from "node:path";
import type { StoreDriver } from "convergent";
import { postgres } from "convergent/postgres";
import { sqlite } from "convergent/sqlite";
import pg from "pg";
import {
  howToInstall,
  makePostgres,
  postgresPrograms,
  type RunningPostgres,
  signalled,
  startPostgres,
  statOf,
} from "../../tools/postgres.ts";

export const storeNames = ["sqlite", "postgres"] as const;
export type StoreName = (typeof storeNames)[number];

/** How a process opens it. */
export type StoreAt =
  | { readonly store: "sqlite"; readonly path: string }
  | { readonly store: "postgres"; readonly url: string; readonly directory: string };

export function driverOf(at: StoreAt): StoreDriver {
  return at.store === "sqlite" ? sqlite(at.path) : postgres(at.url, { directory: at.directory });
}

/** Why a store cannot be tortured here; undefined when it can. */
export function missing(store: StoreName): string | undefined {
  return store === "postgres" && postgresPrograms() === undefined ? howToInstall : undefined;
}

/** What runs the store. */
export interface Database {
  /** How it is opened, once it was begun. */
  readonly at: StoreAt;
  begin(): Promise<void>;
  /** Kill -9 for all of it. */
  kill(): Promise<void>;
  freeze(): void;
  standsStill(): Promise<void>;
  /** Ends about half of the connections that servers have, unless all of these stand idle: then none. */
  cutConnections(): Promise<Cut>;
  /** Without another word: everything that was to be asked was asked. */
  stop(): Promise<void>;
}

/** Connections that were ended. */
export interface Cut {
  readonly ended: number;
  /** Those inside a statement or a transaction. */
  readonly inUse: number;
}

/** `path` is that of the place, `template` what `makeTemplate` made. */
export function databaseAt(store: StoreName, path: string, template: string): Database {
  return store === "sqlite"
    ? new NoDatabase(path)
    : new Postgres({ folder: join(dirname(path), "postgres"), directory: dirname(path), template });
}

/** Makes once what every database of a run begins as. */
export async function makeTemplate(store: StoreName, folder: string): Promise<void> {
  if (store === "postgres") await makePostgres(folder);
}

class NoDatabase implements Database {
  readonly at: StoreAt;

  constructor(path: string) {
    this.at = { store: "sqlite", path };
  }

  async begin(): Promise<void> {
    // A file needs nobody.
  }

  async kill(): Promise<void> {
    // Nobody dies.
  }

  freeze(): void {
    // Nobody runs.
  }

  async standsStill(): Promise<void> {
    // Nobody moves.
  }

  async cutConnections(): Promise<Cut> {
    return { ended: 0, inUse: 0 };
  }

  async stop(): Promise<void> {
    // Nobody runs.
  }
}

/** Small, so that a chapter's image holds it; nothing here weakens what a commit means. */
const settings = { shared_buffers: "16MB", max_wal_size: "64MB", min_wal_size: "32MB", max_connections: 60, restart_after_crash: "on" };

/** In one statement, so that what was in use is ended while it is. */
const cutSql = `
  WITH chosen AS MATERIALIZED (
    SELECT pid, state <> 'idle' AS in_use FROM pg_stat_activity WHERE application_name = 'convergent' AND random() < 0.5
  ), ended AS (
    SELECT in_use, pg_terminate_backend(pid) AS has_ended FROM chosen WHERE (SELECT bool_or(in_use) FROM chosen)
  )
  SELECT count(*)::int AS ended, count(*) FILTER (WHERE in_use)::int AS "inUse" FROM ended WHERE has_ended`;

interface PostgresPlace {
  readonly folder: string;
  readonly directory: string;
  readonly template: string;
}

class Postgres implements Database {
  readonly #place: PostgresPlace;
  #running: RunningPostgres | undefined;
  #url: string | undefined;
  #client: pg.Client | undefined;

  constructor(place: PostgresPlace) {
    this.#place = place;
  }

  get at(): StoreAt {
    if (this.#url === undefined) throw new Error("the database was not begun");
    return { store: "postgres", url: this.#url, directory: this.#place.directory };
  }

  async begin(): Promise<void> {
    if (this.#running) return;
    const { folder, template } = this.#place;
    const port = this.#url === undefined ? {} : { port: Number(new URL(this.#url).port) };
    this.#running = await startPostgres(folder, { settings, copyOf: template, ...port });
    this.#url = this.#running.url;
  }

  async kill(): Promise<void> {
    this.#client = undefined;
    await this.#running?.kill();
    this.#running = undefined;
  }

  freeze(): void {
    for (const pid of this.#running?.pids() ?? []) signalled(pid, "SIGSTOP");
  }

  async standsStill(): Promise<void> {
    while ((this.#running?.pids() ?? []).some((pid) => !/^[TZ]$/.test(statOf(pid)?.state ?? "Z"))) {
      this.freeze(); // a child that was just begun, too
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  async cutConnections(): Promise<Cut> {
    const client = await this.#connected();
    const { rows } = await client.query<Cut>(cutSql);
    return rows[0] ?? { ended: 0, inUse: 0 };
  }

  async stop(): Promise<void> {
    await this.kill();
  }

  /** Kept from cut to cut; it ends with the server. */
  async #connected(): Promise<pg.Client> {
    if (this.#client) return this.#client;
    const client = new pg.Client({ connectionString: this.#url, application_name: "torture" });
    client.on("error", () => undefined);
    client.on("end", () => {
      if (this.#client === client) this.#client = undefined;
    });
    await client.connect();
    this.#client = client;
    return client;
  }
}
