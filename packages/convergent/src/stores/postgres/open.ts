/**
 * Opens a store's schema: refuses a server that cannot keep the promises and a schema that is not ours, creates the tables and
 * the identity at the first opening, and brings older tables up to date. Several processes may do this at once: one
 * transaction decides, the others find it done.
 */
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import { newEpochId } from "../../log/epochs.ts";
import type { Identity } from "../../log/store.ts";
import { ownerSentence } from "../../log/unfinished-copy.ts";
import { advance, origin } from "../../position/position.ts";
import type { Connection } from "./connection.ts";
import { migrations, schemaVersion } from "./schema.ts";
import { epochsOf } from "./standing.ts";
import { lockKey, quoted, taking } from "./transactions.ts";

export interface OpenOptions {
  readonly host: Host;
  /** Of the service that owns the store. */
  readonly name: string;
  readonly schema: string;
  /** How messages name the database and the schema. */
  readonly place: string;
}

/** The oldest server that is known to work: 14. */
const serverVersionMin = 14;

/** Opens or creates the schema. Throws `postgres_unsupported` and the `store_…` codes, each with the way out. */
export async function openSchema(connection: Connection, options: OpenOptions): Promise<Identity> {
  await refuseUnsafe(connection, options.place);
  // The same lock for all schemas: making tables is rare, and two schemas may be made at once by the same roles.
  await connection.script(`BEGIN ISOLATION LEVEL READ COMMITTED; ${taking(lockKey("convergent migrations"))}`);
  try {
    const identity = await readOrCreate(connection, options);
    await connection.script("COMMIT", "commit");
    return identity;
  } catch (error) {
    await connection.script("ROLLBACK").catch(() => connection.abandon());
    throw error;
  }
}

async function refuseUnsafe(connection: Connection, place: string): Promise<void> {
  const settings = ["server_version_num", "server_encoding", "fsync", "full_page_writes", "server_version"];
  const [row] = (await connection.ask(`SELECT ${settings.map((name) => `current_setting('${name}')`).join(", ")}`)).rows;
  const [number, encoding, fsync, fullPageWrites, version] = row as readonly string[];
  if (Number(number) < serverVersionMin * 10_000)
    throw unsupported(`${place} is PostgreSQL ${version}; this needs ${serverVersionMin} or later`);
  if (encoding !== "UTF8")
    throw unsupported(`${place} keeps text as ${encoding}; make a database with ENCODING 'UTF8' (and TEMPLATE template0) for the store`);
  // L2: without them an acknowledged write may be lost to a power cut.
  if (fsync !== "on" || fullPageWrites !== "on")
    throw unsupported(
      `${place} runs with fsync = ${fsync} and full_page_writes = ${fullPageWrites}, and may lose acknowledged writes; set both to on`,
    );
}

function unsupported(message: string): ConvergentError {
  return new ConvergentError("postgres_unsupported", message);
}

async function readOrCreate(connection: Connection, { host, name, schema, place }: OpenOptions): Promise<Identity> {
  const known = await connection.ask("SELECT has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = $1", [schema]);
  if (known.count === 0) await connection.script(`CREATE SCHEMA ${quoted(schema)}`);
  // The server would say that there are no such tables.
  else if (known.rows[0]?.[0] !== true)
    throw new ConvergentError(
      "store_unwritable",
      `${place}: this user may not look into the schema; let it own the schema, or grant USAGE on it`,
      { details: { schema } },
    );
  // Functions keep this path: temporary tables of whoever calls one come last, whatever they are called.
  await connection.script(`SET LOCAL search_path = ${quoted(schema)}, pg_temp`);
  const [tables] = (
    await connection.ask(
      `SELECT count(*), count(*) FILTER (WHERE relname = 'store') FROM pg_catalog.pg_class
        WHERE relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) AND relkind IN ('r', 'p', 'v')`,
      [schema],
    )
  ).rows;
  if (tables?.[0] === 0) {
    await bringUpToDate(connection, 0, place);
    const key = host.random.id() + host.random.id();
    await connection.ask("INSERT INTO store (schema_version, name, signing_key) VALUES ($1, $2, $3)", [schemaVersion, name, key]);
    await connection.ask("INSERT INTO epochs (number, id, first) VALUES (1, $1, $2)", [newEpochId(host.random), advance(origin, 1)]);
  } else if (tables?.[1] === 0) {
    throw new ConvergentError(
      "store_broken",
      `${place} is a schema of something else: it has tables, and none of a store. Give the store a schema of its own`,
      {
        details: { schema },
      },
    );
  }
  const [row] = (await connection.ask("SELECT schema_version, name, signing_key FROM store")).rows;
  if (!row) throw broken(place, "its table store is empty");
  const found = row[0] as number;
  if (found > schemaVersion)
    throw new ConvergentError(
      "store_newer",
      `${place} has tables of version ${found}, this release knows versions up to ${schemaVersion}; run the newer release, or restore a copy from before the upgrade`,
      { details: { schema, found, known: schemaVersion } },
    );
  if (found < schemaVersion) {
    await bringUpToDate(connection, found, place);
    await connection.ask("UPDATE store SET schema_version = $1", [schemaVersion]);
  }
  if (row[1] !== name)
    throw new ConvergentError(
      "store_mismatch",
      `${ownerSentence(place, String(row[1]), name)}; each service has a schema of its own: postgres(url, { schema: "${name}" })`,
      { details: { schema, owner: row[1], name } },
    );
  const epochs = await epochsOf(connection);
  if (epochs.length === 0) throw broken(place, "its table epochs is empty");
  return { store: name, key: row[2] as string, epochs };
}

async function bringUpToDate(connection: Connection, found: number, place: string): Promise<void> {
  for (const { to, script } of migrations) {
    if (to <= found) continue;
    try {
      await connection.script(script);
    } catch (cause) {
      if (cause instanceof ConvergentError) throw cause;
      throw new ConvergentError("store_broken", `${place}: its tables could not be brought to version ${to}: ${String(cause)}`, { cause });
    }
  }
}

function broken(place: string, why: string): ConvergentError {
  return new ConvergentError(
    "store_broken",
    `${place} is damaged: ${why}; restore a copy of it, or drop the schema to begin an empty store`,
  );
}
