// A PgBouncer in transaction mode in front of a PostgreSQL of this machine: every transaction may get another connection of the server.
import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, isReady, serverUser } from "./postgres.ts";

/** One that runs. */
export interface RunningPooler {
  readonly url: string;
  readonly version: string;
  stop(): Promise<void>;
}

const program = process.env["PGBOUNCER"] ?? "pgbouncer";

/** Fewer than the clients of one store, so that they have to take turns at them. */
const poolSize = 8;

/** Starts one for the database that `url` names, with its files in `folder`. */
export async function startPooler(folder: string, url: string): Promise<RunningPooler> {
  const version = spawnSync(program, ["--version"], { encoding: "utf8" });
  if (version.status !== 0) throw new Error("PgBouncer is not installed: apt-get install pgbouncer, or name its program by PGBOUNCER");
  const { hostname, port, username, pathname } = new URL(url);
  const listens = await freePort();
  const user = serverUser();
  mkdirSync(folder, { recursive: true });
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: listens,
    unix_socket_dir: "",
    pool_mode: "transaction",
    auth_type: "any",
    default_pool_size: poolSize,
    max_client_conn: 500,
    logfile: join(folder, "pgbouncer.log"),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const file = join(folder, "pgbouncer.ini");
  writeFileSync(file, `[databases]\n* = host=${hostname} port=${port} user=${username}\n[pgbouncer]\n${lines.join("\n")}\n`);
  if (user) for (const path of [folder, file]) chownSync(path, user.uid, user.gid);
  const pooler = spawn(program, ["-q", file], { stdio: "ignore", ...user });
  const ended = new Promise<void>((resolve) => pooler.once("exit", () => resolve()));
  const own = `postgres://${username}@127.0.0.1:${listens}${pathname}`;
  if (!(await isReady(own, ended))) throw new Error(`PgBouncer did not start: see ${settings.logfile}`);
  return {
    url: own,
    version: version.stdout.split("\n")[0] ?? "",
    stop: async () => {
      pooler.kill("SIGTERM");
      await ended;
    },
  };
}
