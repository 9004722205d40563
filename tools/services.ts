// `npm run services`: what examples and tests need beside Node, of this project's own. Installs what is missing where it may, starts it
// with its data under .services/, says where it is, and stops it at Ctrl-C.
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import pg from "pg";
import { howToInstall, postgresPrograms, startPostgres } from "./postgres.ts";

const help = `npm run services -- [options]

Starts a PostgreSQL of the project's own, with its data under .services/, and says its URL. Ctrl-C stops it; the data stay.
Where it is missing, root of Debian or Ubuntu gets it installed. With DATABASE_URL nothing is started: it is only looked at.

  --port N   where it listens (default: a free port)`;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

try {
  const { values } = parseArgs({ options: { port: { type: "string" }, help: { type: "boolean", short: "h" } } });
  if (values.port !== undefined && !/^\d{1,5}$/.test(values.port)) throw new Error(`--port is a number, not "${values.port}"`);
  if (values.help) say(help);
  else await services(values.port === undefined ? undefined : Number(values.port));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function services(port: number | undefined): Promise<void> {
  const given = process.env["DATABASE_URL"];
  if (given) {
    say(`DATABASE_URL is set: ${await versionAt(given)}. Nothing is started.`);
    return;
  }
  if (postgresPrograms() === undefined) install();
  const folder = join(import.meta.dirname, "..", ".services", "postgres");
  mkdirSync(folder, { recursive: true });
  say("PostgreSQL is starting…");
  const server = await startPostgres(folder, port === undefined ? {} : { port });
  say(`${server.version}, data in ${folder}\n\n  DATABASE_URL=${server.url}\n\nCtrl-C stops it.`);
  const stop = (): void => {
    say("stopping…");
    void server.stop().then(() => process.exit(0));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  setInterval(() => undefined, 1_000_000);
}

function install(): void {
  const apt = spawnSync("apt-get", ["--version"]).status === 0;
  if (process.getuid?.() !== 0 || !apt) throw new Error(howToInstall);
  say("PostgreSQL is missing: apt-get installs it");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [
    ["update", "-q"],
    ["install", "-q", "-y", "--no-install-recommends", "postgresql"],
  ])
    if (spawnSync("apt-get", args, { stdio: "inherit", env }).status !== 0)
      throw new Error(`apt-get ${args.join(" ")} failed. ${howToInstall}`);
}

async function versionAt(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string }>("SELECT current_setting('server_version') AS version");
    return `PostgreSQL ${rows[0]?.version ?? ""} answers`;
  } finally {
    await client.end();
  }
}
