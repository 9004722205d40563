// The stores that the contract suite runs on, and how a test opens them: on the real disk, in a directory of its own,
// closed and removed when the test has ended.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Host, Log, type Store, type StoreDriver } from "convergent";
import { memory } from "convergent/memory";
import { sqlite } from "convergent/sqlite";
import { onTestFinished } from "vitest";

export interface DriverOptions {
  readonly host?: Host;
  readonly transactionLimitMs?: number;
}

export interface StoreKind {
  readonly name: string;
  /** Whether one place may be opened several times at once, also by other processes. */
  readonly severalProcesses: boolean;
  /** The store that lies at `place`, a directory. */
  driver(place: string, options?: DriverOptions): StoreDriver;
  /** The file in which it keeps the rows of "orders". */
  file(place: string): string;
}

export const storeKinds: readonly StoreKind[] = [
  {
    name: "memory",
    severalProcesses: false,
    driver: (place, options) => memory({ directory: place, ...options }),
    file: (place) => join(place, "orders.journal"),
  },
  {
    name: "sqlite",
    severalProcesses: true,
    driver: (place, options) => sqlite(join(place, "store.db"), options),
    file: (place) => join(place, "store.db"),
  },
];

export function storeKind(name: string): StoreKind {
  const kind = storeKinds.find((candidate) => candidate.name === name);
  if (!kind) throw new Error(`there is no store "${name}"`);
  return kind;
}

/** A new directory, removed after the test. */
export function newPlace(): string {
  const place = mkdtempSync(join(tmpdir(), "convergent-store-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  return place;
}

export async function openLog(kind: StoreKind, place: string = newPlace(), options?: DriverOptions): Promise<Log> {
  const log = await Log.open(kind.driver(place, options), "orders");
  onTestFinished(() => log.close());
  return log;
}

export async function openStore(kind: StoreKind, place: string = newPlace(), options?: DriverOptions): Promise<Store> {
  const store = await kind.driver(place, options).open({ name: "orders" });
  onTestFinished(() => store.close());
  return store;
}
