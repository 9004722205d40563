// A PostgreSQL of the project's own: found among what is installed, made in a directory, on a free port of this machine, as a user
// that is not root. Passwords are none: it listens on the loopback only.
import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";

/** A server that runs. */
export interface RunningPostgres {
  readonly url: string;
  readonly version: string;
  /** The postmaster and all that it has begun. */
  pids(): number[];
  /** SIGKILL for all of them; resolves when none is left. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Settings beside the defaults; promises about durability are left as they are. */
export type Settings = Readonly<Record<string, string | number>>;

/** A server that is not ready by then is not going to be: recovery of what tests write takes less. */
const readyWithinMs = 60_000;
const readyPollMs = 10;

const debianHome = "/usr/lib/postgresql";

/** The directory of `initdb` and `postgres`, of the newest release that is installed; undefined when there is none. */
export function postgresPrograms(): string | undefined {
  const given = process.env["POSTGRES_BIN"];
  if (given) return given;
  if (existsSync(debianHome)) {
    const releases = readdirSync(debianHome).filter((name) => existsSync(join(debianHome, name, "bin", "initdb")));
    const newest = releases.sort((a, b) => Number(b) - Number(a))[0];
    if (newest) return join(debianHome, newest, "bin");
  }
  const found = spawnSync("pg_config", ["--bindir"], { encoding: "utf8" });
  const directory = found.status === 0 ? found.stdout.trim() : "";
  return existsSync(join(directory, "initdb")) ? directory : undefined;
}

/** What to do when there is none. */
export const howToInstall =
  "PostgreSQL is not installed: as root run `npm run services` or `apt-get install postgresql`, or name a server by DATABASE_URL, or its programs by POSTGRES_BIN.";

/**
 * Starts the server whose data lie in `folder`, made at the first time: by initdb, or as a copy of those in the folder `copyOf`, which
 * `makePostgres` made (0.3 s of CPU against 1.2). The port is a free one unless it is given.
 */
export async function startPostgres(
  folder: string,
  { port, settings = {}, copyOf }: { port?: number; settings?: Settings; copyOf?: string | undefined } = {},
): Promise<RunningPostgres> {
  return launched(folder, { port, settings }, copyOf === undefined ? initialised : copyMaker(copyOf));
}

/** Makes the data of a server in `folder`, and starts none. */
export async function makePostgres(folder: string): Promise<void> {
  const { programs, user } = prepared(folder);
  await makeData(folder, { programs, user, make: initialised });
}

const initialised: MakeData = (programs, data, as) => {
  const args = ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"];
  return spawnSync(join(programs, "initdb"), args, as);
};

function copyMaker(folder: string): MakeData {
  // As initdb leaves them: what is made is on the disk.
  const script = 'cp -a "$1" "$2" && "$0" --sync-only -D "$2"';
  return async (programs, data, as) => run("sh", ["-c", script, join(programs, "initdb"), join(folder, "data"), data], as);
}

/** The same as `spawnSync`, and this process goes on meanwhile. */
async function run(command: string, args: readonly string[], options: As): Promise<Outcome> {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout: "", stderr };
}

/**
 * Starts a standby of a server that runs, by streaming replication: a copy of its data in `folder`, made at the first time.
 * `recovery_min_apply_delay` among the settings keeps it behind.
 */
export async function startStandby(
  primary: { readonly url: string },
  folder: string,
  { port, settings = {} }: { port?: number; settings?: Settings } = {},
): Promise<RunningPostgres> {
  const { hostname, port: follows, username } = new URL(primary.url);
  return launched(folder, { port, settings: { hot_standby: "on", ...settings } }, (programs, data, as) => {
    const from = ["-h", hostname, "-p", follows, "-U", username, "-X", "stream", "-c", "fast", "--no-sync"];
    return spawnSync(join(programs, "pg_basebackup"), ["-D", data, "-R", ...from], as);
  });
}

type As = { readonly encoding: "utf8"; readonly cwd: string; readonly uid?: number; readonly gid?: number };
type Outcome = Pick<SpawnSyncReturns<string>, "status" | "stdout" | "stderr" | "error">;
type MakeData = (programs: string, data: string, as: As) => Outcome | Promise<Outcome>;

async function launched(
  folder: string,
  { port, settings }: { port: number | undefined; settings: Settings },
  make: MakeData,
): Promise<RunningPostgres> {
  const { programs, user } = prepared(folder);
  const data = await makeData(folder, { programs, user, make });
  const listens = port ?? (await freePort());
  const options = Object.entries({
    port: listens,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 200,
    ...settings,
  });
  const log = join(folder, "server.log");
  writeFileSync(log, "", { flag: "a" });
  if (user) chownSync(log, user.uid, user.gid);
  chmodSync(log, 0o600);
  const args = ["-D", data, ...options.flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const server = spawn("sh", ["-c", 'exec "$0" "$@" >>server.log 2>&1', join(programs, "postgres"), ...args], {
    cwd: folder,
    stdio: "ignore",
    detached: true,
    ...user,
  });
  server.unref();
  const url = `postgres://postgres@127.0.0.1:${listens}/postgres`;
  const ended = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  if (!(await isReady(url, ended)))
    throw new Error(`PostgreSQL did not start; the end of ${log}:\n${readFileSync(log, "utf8").slice(-2000)}`);
  return {
    url,
    get version() {
      return spawnSync(join(programs, "postgres"), ["--version"], { encoding: "utf8" }).stdout.trim();
    },
    pids: () => familyOf(server.pid as number),
    kill: async () => {
      // The postmaster first, so that it begins none again. Children have sessions of their own, and some outlive it for a while.
      const family = familyOf(server.pid as number);
      server.ref();
      for (const pid of family) signalled(pid, "SIGKILL");
      await ended;
      while (family.some((pid) => (statOf(pid)?.state ?? "Z") !== "Z")) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    stop: async () => {
      server.ref();
      server.kill("SIGINT"); // "fast": clients are thrown out, and everything is written
      await ended;
    },
  };
}

interface Prepared {
  readonly programs: string;
  readonly user: ReturnType<typeof serverUser>;
}

function prepared(folder: string): Prepared {
  const programs = postgresPrograms();
  if (programs === undefined) throw new Error(howToInstall);
  const user = serverUser();
  mkdirSync(folder, { recursive: true });
  if (user) {
    chownSync(folder, user.uid, user.gid);
    makePassable(folder);
  }
  return { programs, user };
}

/** Where the data are, which are made when there are none. */
async function makeData(folder: string, { programs, user, make }: Prepared & { readonly make: MakeData }): Promise<string> {
  const data = join(folder, "data");
  if (existsSync(join(data, "PG_VERSION"))) return data;
  const made = await make(programs, data, { encoding: "utf8", cwd: folder, ...user });
  if (made.status !== 0) throw new Error(`${data} could not be made: ${made.stderr || made.stdout || String(made.error)}`);
  return data;
}

/** Deletes a schema with everything in it. */
export async function dropSchema(url: string, schema: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`DROP SCHEMA IF EXISTS "${schema.replaceAll('"', '""')}" CASCADE`);
  } finally {
    await client.end();
  }
}

/** A process and its children, by /proc. */
function familyOf(pid: number): number[] {
  const children = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && statOf(Number(name))?.parent === pid);
  return [pid, ...children.map(Number)];
}

/** How a process is: `T` stopped, `Z` ended and not yet missed by its parent, and so on; undefined when there is none. */
export function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** Sends a signal; false when the process has ended. */
export function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

// Temporary folders are their maker's alone; another user has to pass through them.
function makePassable(folder: string): void {
  for (let path = dirname(folder); path.startsWith(`${tmpdir()}/`); path = dirname(path)) chmodSync(path, statSync(path).mode | 0o011);
}

/** Who runs what refuses to run as root; undefined when nobody else has to. */
export function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    const line = readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .find((each) => each.startsWith(`${name}:`));
    const [, , uid, gid] = line?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
}

/** A port of this machine that nobody uses. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** False when the server ended instead. It is asked by a connection: `pg_isready` is not among what every package brings. */
export async function isReady(url: string, ended: Promise<void>): Promise<boolean> {
  const server = { hasEnded: false };
  void ended.then(() => (server.hasEnded = true));
  const giveUpAt = performance.now() + readyWithinMs;
  while (performance.now() < giveUpAt && !server.hasEnded) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.end();
      return true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, readyPollMs));
    }
  }
  return false;
}
