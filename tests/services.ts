// What tests need beside this process, started once for all of them: a PostgreSQL with an empty data directory, or a database of
// its own on the server that DATABASE_URL names. Each test has a schema of its own in it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startPooler } from "../tools/pgbouncer.ts";
import { postgresPrograms, startPostgres } from "../tools/postgres.ts";

let stop: () => Promise<void> = async () => undefined;

export async function setup(): Promise<void> {
  const stopServer = await started();
  const stopPooler = await pooled();
  stop = async () => {
    await stopPooler();
    await stopServer();
  };
}

export function teardown(): Promise<void> {
  return stop();
}

async function started(): Promise<() => Promise<void>> {
  const given = process.env["DATABASE_URL"];
  if (given) return ownDatabase(given);
  if (postgresPrograms() === undefined) return async () => undefined; // tests that need it fail, and say what is missing
  const folder = mkdtempSync(join(tmpdir(), "convergent-postgres-"));
  const server = await startPostgres(folder);
  process.env["CONVERGENT_TEST_DATABASE"] = server.url;
  return async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}

/** With CONVERGENT_TEST_POOLER, stores are opened through a PgBouncer in transaction mode. */
async function pooled(): Promise<() => Promise<void>> {
  const url = process.env["CONVERGENT_TEST_DATABASE"];
  if (!process.env["CONVERGENT_TEST_POOLER"] || url === undefined) return async () => undefined;
  const folder = mkdtempSync(join(tmpdir(), "convergent-pooler-"));
  const pooler = await startPooler(folder, url);
  process.env["CONVERGENT_TEST_POOLER"] = pooler.url;
  process.stdout.write(`stores are opened through ${pooler.version} in transaction mode\n`);
  return async () => {
    await pooler.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}

async function ownDatabase(url: string): Promise<() => Promise<void>> {
  const name = `convergent_test_${process.pid}`;
  await asked(url, `CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  process.env["CONVERGENT_TEST_DATABASE"] = own.href;
  return () => asked(url, `DROP DATABASE ${name} WITH (FORCE)`);
}

async function asked(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
