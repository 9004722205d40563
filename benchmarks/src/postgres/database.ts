// A PostgreSQL for one sample: fresh data on the sample's own disk, everything durable, and gone with the sample.
import { join } from "node:path";
import { signalled, startPostgres } from "../../../tools/postgres.ts";

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
    checkpoint_timeout: "30min",
    commit_delay: 1_000 * commitDelayMs,
    commit_siblings: 0,
    ...(seeding ? { max_wal_size: "256MB" } : {}),
  };
  const server = await startPostgres(join(directory, "postgres"), { settings });
  const end = (): void => void server.pids().map((pid) => signalled(pid, "SIGKILL"));
  process.once("exit", end);
  try {
    return await work(server.url);
  } finally {
    await server.stop();
    process.off("exit", end);
  }
}
