/**
 * Where a store lies, as every command line names it: the path of a file, or the URL of a PostgreSQL database, with the schema
 * as `?schema=`. Passwords are never shown.
 */
import { existsSync } from "node:fs";
import { ConvergentError, type Store, type StoreDriver, writeWitness } from "convergent";
import { memory } from "convergent/memory";
import type { findStore as findIn, Migration, migrationsFrom as migrationsOf, postgres } from "convergent/postgres";
import { sqlite } from "convergent/sqlite";
import { isBlank, kindOf, ownerOfFile, requireFileUnused, type StoreKind } from "./store-file.ts";

/** What help texts say of `--store`. */
export const storeHelp = "the store: its file, or postgres://…?schema=NAME";

/** What opening a store in PostgreSQL takes besides its URL. */
export interface PlaceOptions {
  /** The file of personal keys; beside a file, its own. */
  readonly keys?: string;
  /** Where this process's witness lies. */
  readonly directory?: string;
}

export function isPostgres(place: string): boolean {
  return /^postgres(?:ql)?:\/\//i.test(place);
}

/** A place as output names it. */
export function shown(place: string): string {
  if (!isPostgres(place)) return place;
  if (!URL.canParse(place)) return "postgres://…";
  const url = new URL(place);
  url.password = "";
  url.searchParams.delete("password");
  return url.href;
}

/** Text without the passwords of URLs in it. */
export function withoutPasswords(text: string): string {
  return text.replace(/(postgres(?:ql)?:\/\/[^\s:/@]*):[^\s@]*@/gi, "$1@").replace(/([?&]password=)[^\s&]*/gi, "$1…");
}

/** Opens the store that lies at a place. Throws `not_found`, and the `store_…` codes of the driver. */
export async function openStore(place: string, options?: PlaceOptions): Promise<Store> {
  const name = await ownerOf(place);
  return (await driverOf(place, options)).open({ name });
}

/** Writes the witness of the store at a place: what was put there by a command is what it is compared with from now on. */
export async function witnessed(path: string): Promise<void> {
  const store = await openStore(path);
  try {
    await writeWitness(store);
  } finally {
    await store.close();
  }
}

/** The driver of a store, which need not exist. */
export async function driverOf(place: string, options: PlaceOptions = {}): Promise<StoreDriver> {
  if (!isPostgres(place)) return fileDriver(place, kindOf(place));
  const { url, schema } = parsed(place);
  return (await driver()).postgres(url, { ...(schema === undefined ? {} : { schema }), ...options });
}

/** The driver of a store in a file of a kind that it may not have yet. */
export function fileDriver(path: string, kind: StoreKind): StoreDriver {
  return kind === "sqlite" ? sqlite(path) : memory({ file: path });
}

/** The service whose store lies at a place. Throws `not_found`, `store_broken`, `unavailable`. */
export async function ownerOf(place: string): Promise<string> {
  if (!isPostgres(place)) return ownerOfFile(place);
  const found = await findStore(place);
  if (found) return found.owner;
  throw new ConvergentError(
    "not_found",
    `there is no store at ${shown(place)}; name its schema by ?schema=, which is the one the service was started with, or "convergent"`,
  );
}

/** The same; undefined when nothing lies there. */
export async function ownerIfThere(place: string): Promise<string | undefined> {
  if (isPostgres(place)) return (await findStore(place))?.owner;
  return existsSync(place) && !isBlank(place) ? ownerOfFile(place) : undefined;
}

/** Whether a process has the store open that lies at a place; of a PostgreSQL store, as far as the server tells. */
export async function isInUse(place: string): Promise<boolean> {
  if (isPostgres(place)) return ((await findStore(place))?.openBy ?? 0) > 0;
  if (!existsSync(place) || kindOf(place) === "journal") return false; // opening a journal takes its lock
  try {
    requireFileUnused(place);
    return false;
  } catch {
    return true;
  }
}

/** Throws `store_in_use` when a process has the store open. */
export async function requireUnused(place: string): Promise<void> {
  if (await isInUse(place))
    throw new ConvergentError(
      "store_in_use",
      `a process has ${shown(place)} open; stop its server first, because it would go on from what it remembers`,
    );
}

/** Throws `invalid_input` for a store that lies in no file; `instead` says what to do. */
export function requireFilePlace(place: string, instead: string): void {
  if (isPostgres(place)) throw new ConvergentError("invalid_input", `${shown(place)} is no file: ${instead}`);
}

/** The tables of a store in PostgreSQL: their version, 0 when there are none, and the migrations that the next start runs. */
export async function tablesOf(place: string): Promise<{ version: number; schema: string; migrations: readonly Migration[] }> {
  const { migrationsFrom } = await driver();
  const found = await findStore(place);
  const version = found?.tables ?? 0;
  return { version, schema: parsed(place).schema ?? "convergent", migrations: migrationsFrom(version) };
}

async function findStore(place: string) {
  const { url, schema } = parsed(place);
  return (await driver()).findStore(url, schema === undefined ? {} : { schema });
}

function parsed(place: string): { readonly url: string; readonly schema: string | undefined } {
  if (!URL.canParse(place))
    throw new ConvergentError(
      "invalid_input",
      `${withoutPasswords(place)} is no address; write it like postgres://user@host:5432/database?schema=orders`,
    );
  const url = new URL(place);
  const schema = url.searchParams.get("schema") ?? undefined;
  url.searchParams.delete("schema");
  return { url: url.href, schema };
}

interface Driver {
  readonly postgres: typeof postgres;
  readonly findStore: typeof findIn;
  readonly migrationsFrom: typeof migrationsOf;
}

async function driver(): Promise<Driver> {
  try {
    return await import("convergent/postgres");
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND")) throw cause;
    throw new ConvergentError("not_found", "a store in PostgreSQL needs the package pg, which is not installed: npm install pg@8.23.1", {
      cause,
    });
  }
}
