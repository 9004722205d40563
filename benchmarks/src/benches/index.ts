// All benches, by name.
import type { Bench } from "../bench.ts";
import { appendSqlite } from "./append-sqlite.ts";
import { appendPostgres } from "./append-postgres.ts";
import { http } from "./http.ts";
import { live } from "./live.ts";
import { projectPostgres } from "./project-postgres.ts";
import { readPostgres } from "./read-postgres.ts";
import { readers } from "./readers.ts";
import { rebuild } from "./rebuild.ts";
import { sagas } from "./sagas.ts";
import { viewRead } from "./view-read.ts";
import { wakeUp } from "./wake-up.ts";
import { wakeUpPostgres } from "./wakeup-postgres.ts";

export const benches: readonly Bench[] = [
  appendSqlite,
  appendPostgres,
  readPostgres,
  projectPostgres,
  wakeUpPostgres,
  http,
  readers,
  rebuild,
  sagas,
  viewRead,
  live,
  wakeUp,
];

export function findBench(name: string): Bench | undefined {
  return benches.find((bench) => bench.name === name);
}
