// A PostgreSQL for one sample: fresh data on the sample's own disk, everything durable, and gone with the sample.
import { join } from "node:path";
import pg from "pg";
import { signalled, startPostgres } from "../../../tools/postgres.ts";

/** Files of WAL, of 16 MB each, more than a sample writes. */
const walFiles = 48;

export interface DatabaseOptions {
  /** Each commit waits for so long before it flushes, as on a slow disk. */
  readonly commitDelayMs?: number;
  /** Data are written for others to copy: little of the WAL is kept. */
  readonly seeding?: boolean;
}

export async function withDatabase<T>(
  directory: string,
  { commitDelayMs = 0, seeding = false }: DatabaseOptions,
  work: (url: string) => Promise<T>,
): Promise<T> {
  // As a server that is meant for this machine: checkpoints by size and not in the middle of a sample.
  const settings = {
    shared_buffers: "512MB",
    max_wal_size: "8GB",
    min_wal_size: "1GB",
    checkpoint_timeout: "30min",
    commit_delay: 1_000 * commitDelayMs,
    commit_siblings: 0,
    ...(seeding ? { max_wal_size: "256MB", min_wal_size: "80MB" } : {}),
  };
  const server = await startPostgres(join(directory, "postgres"), { settings });
  const end = (): void => void server.pids().map((pid) => signalled(pid, "SIGKILL"));
  process.once("exit", end);
  try {
    if (!seeding) await makeWal(server.url);
    return await work(server.url);
  } finally {
    await server.stop();
    process.off("exit", end);
  }
}

// A server that was written to for a while uses its files of WAL again. On a fresh one each is made and flushed while a commit waits for
// it: 25 to 70 ms, twice a second at 30,000 appends/s.
async function makeWal(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (let file = 0; file < walFiles; file++) await client.query("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()");
  await client.query("CHECKPOINT");
  await client.end();
}
