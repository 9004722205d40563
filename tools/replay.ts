// `npm run replay`: the replay of examples/loans. For `--store postgres` it sees to a database first: a server of the project's own, or a
// schema at DATABASE_URL, which is dropped again.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dropSchema, startPostgres } from "./postgres.ts";

const program = join(import.meta.dirname, "..", "examples", "loans", "src", "replay.ts");

interface Database {
  readonly url: string;
  readonly release: () => Promise<void>;
}

async function database(): Promise<Database> {
  const given = process.env["DATABASE_URL"] ?? "";
  if (given !== "") {
    const schema = `replay_${process.pid}`;
    return { url: withSchema(given, schema), release: () => dropSchema(given, schema) };
  }
  const folder = mkdtempSync(join(tmpdir(), "convergent-replay-postgres-"));
  const server = await startPostgres(folder);
  const release = async (): Promise<void> => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: withSchema(server.url, "loans"), release };
}

function withSchema(text: string, schema: string): string {
  const url = new URL(text);
  url.searchParams.set("schema", schema);
  return url.href;
}

const args = process.argv.slice(2);
const place = args.findIndex((arg, index) => arg === "--store=postgres" || (arg === "--store" && args[index + 1] === "postgres"));
const own = place === -1 ? undefined : await database();
if (own) args.splice(place, args[place] === "--store" ? 2 : 1, `--store=${own.url}`);

// Ctrl-C reaches the replay too, which ends by itself; the database goes after it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
try {
  const replay = spawn(process.execPath, ["--conditions=convergent-source", program, ...args], { stdio: "inherit" });
  const [code] = (await once(replay, "exit")) as [number | null];
  process.exitCode = code ?? 1;
} finally {
  await own?.release();
}
