/**
 * The stores that can be tortured: how a server process opens one, and what runs beside the servers. SQLite is a file, and
 * nothing runs; of PostgreSQL each chapter has a server of its own, whose data lie in the chapter's place.
 */
import { dirname, join } from "node:path";
import type { StoreDriver } from "convergent";
import { postgres } from "convergent/postgres";
import { sqlite } from "convergent/sqlite";
import pg from "pg";
import { howToInstall, postgresPrograms, type RunningPostgres, signalled, startPostgres, statOf } from "../../tools/postgres.ts";

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
  /** Ends some of the connections that servers have. Resolves to how many. */
  cutConnections(): Promise<number>;
  stop(): Promise<void>;
}

/** `path` is that of the place. */
export function databaseAt(store: StoreName, path: string): Database {
  return store === "sqlite" ? new NoDatabase(path) : new Postgres(join(dirname(path), "postgres"), dirname(path));
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

  async cutConnections(): Promise<number> {
    return 0;
  }

  async stop(): Promise<void> {
    // Nobody runs.
  }
}

/** Small, so that a chapter's image holds it; nothing here weakens what a commit means. */
const settings = { shared_buffers: "16MB", max_wal_size: "64MB", min_wal_size: "32MB", max_connections: 60, restart_after_crash: "on" };

class Postgres implements Database {
  readonly #folder: string;
  readonly #directory: string;
  #running: RunningPostgres | undefined;
  #url: string | undefined;

  constructor(folder: string, directory: string) {
    this.#folder = folder;
    this.#directory = directory;
  }

  get at(): StoreAt {
    if (this.#url === undefined) throw new Error("the database was not begun");
    return { store: "postgres", url: this.#url, directory: this.#directory };
  }

  async begin(): Promise<void> {
    if (this.#running) return;
    const port = this.#url === undefined ? undefined : Number(new URL(this.#url).port);
    this.#running = await startPostgres(this.#folder, { settings, ...(port === undefined ? {} : { port }) });
    this.#url = this.#running.url;
  }

  async kill(): Promise<void> {
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

  async cutConnections(): Promise<number> {
    const client = new pg.Client({ connectionString: this.#url, application_name: "torture" });
    await client.connect();
    try {
      const ended = await client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'convergent' AND random() < 0.5",
      );
      return ended.rowCount ?? 0;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
    this.#running = undefined;
  }
}
