/** A batch of appends as calls of the server's function, and its answers as outcomes. */
import type { ConvergentError } from "../../errors/error.ts";
import { type Admitted, outcomeOfKnown, type Prepared, type PreparedAppend, recordOf } from "../../log/admission.ts";
import type { Expected } from "../../log/append.ts";
import type { StoredEvent } from "../../log/event.ts";
import { personIn } from "../../log/marks.ts";
import type { Position } from "../../position/position.ts";
import type { Values } from "../rows.ts";
import { expectedAny, expectedSome } from "./append-function.ts";
import type { Parameter } from "./texts.ts";
import { idRecordOf } from "./transaction.ts";

/** Calls of one transaction; a batch that needs more has some stream or id again and again, and is cheaper decided in one place. */
const callsMax = 4;

/** No stream has this version: a number above it is met by none either. */
const versionMax = 2 ** 31 - 1;

/** The batch as runs of appends whose streams and ids all differ; undefined when the function is not the way to write it. */
export function runsOf(batch: readonly Prepared[]): PreparedAppend[][] | undefined {
  const runs: PreparedAppend[][] = [];
  let run: PreparedAppend[] = [];
  const streams = new Set<string>();
  const ids = new Set<string>();
  for (const append of batch) {
    if ("parts" in append) return undefined;
    const { stream } = append.request;
    const id = append.idKey && `${append.idKey.scope}\n${append.idKey.id}`;
    if (run.length === 0 || streams.has(stream) || (id !== undefined && ids.has(id))) {
      if (runs.length === callsMax) return undefined;
      runs.push((run = []));
      streams.clear();
      ids.clear();
    }
    run.push(append);
    streams.add(stream);
    if (id !== undefined) ids.add(id);
  }
  return runs;
}

export interface CallOptions {
  readonly lock: string;
  /** How long it is waited for. */
  readonly lockMs: number;
  readonly now: number;
  readonly idsBefore: number;
  /** Types that may be new. */
  readonly newTypes: readonly string[];
}

/** The parameters of `callAppend`. */
export function parametersOf(run: readonly PreparedAppend[], { lock, lockMs, now, idsBefore, newTypes }: CallOptions): Parameter[] {
  const places: number[] = [];
  const indexes: number[] = [];
  const events = run.flatMap(({ events: some }, place) => {
    some.forEach((_, index) => {
      places.push(place + 1);
      indexes.push(index + 1);
    });
    return some;
  });
  return [
    lock,
    lockMs,
    now,
    Math.ceil(idsBefore), // times are whole
    run.map(({ request }) => request.stream),
    run.map(({ request }) => numberOf(request.expected)),
    run.map(({ idKey }) => idKey?.scope ?? null),
    run.map(({ idKey }) => idKey?.id ?? null),
    run.map(({ digest }) => digest),
    run.map((append) => append.events.length),
    places,
    indexes,
    events.map(({ id }) => id),
    events.map(({ type }) => type),
    events.map(({ data }) => data),
    events.map(({ metadata }) => metadata),
    events.map(({ digest }) => digest),
    events.map(({ metadata }) => personIn(metadata) ?? null),
    newTypes,
  ];
}

/** The store's generation as the append saw it. */
export function generationIn(rows: readonly Values[]): unknown {
  return rows[0]?.[4];
}

/** How long the append waited for another writer's lock, in milliseconds. */
export function lockWaitIn(rows: readonly Values[]): number {
  return rows[0]?.[12] as number;
}

/** The append that `append_alone` may write: it comes alone, its events are of no person, and their types are in `known`. */
export function soleOf(batch: readonly Prepared[], known: ReadonlySet<string>): PreparedAppend | undefined {
  const [append] = batch;
  if (batch.length !== 1 || !append || "parts" in append) return undefined;
  return append.events.every(({ type, metadata }) => known.has(type) && personIn(metadata) === undefined) ? append : undefined;
}

/** The parameters of `callAppendAlone`. */
export function parametersOfOne({ request, events, idKey, digest }: PreparedAppend, options: Omit<CallOptions, "newTypes">): Parameter[] {
  const [event, ...more] = events as [PreparedAppend["events"][number]];
  const { lock, lockMs, now, idsBefore } = options;
  const id = [idKey?.scope ?? null, idKey?.id ?? null, digest];
  const first = [event.id, event.type, event.data, event.metadata, event.digest];
  const others = (["id", "type", "data", "metadata", "digest"] as const).map((column) =>
    more.length === 0 ? null : more.map((other) => other[column]),
  );
  return [lock, lockMs, now, Math.ceil(idsBefore), request.stream, numberOf(request.expected), ...id, ...first, ...others];
}

/** What `append_alone` answered, in the form of what `append_batch` does. */
export function outcomeOfOne(append: PreparedAppend, answer: string): { admitted: Admitted; generation: unknown; waitedMs: number } {
  const [version, last, at, generation, waitedMs] = answer.split(" ").map(Number) as [number, number, number, number, number];
  return { admitted: admittedAt(append, { before: last - append.events.length, version, at }), generation, waitedMs };
}

/** What the function answered, in order: one row an append, or one in all when each is admitted at the version that it expected. */
export function outcomesOf(run: readonly PreparedAppend[], rows: readonly Values[]): Array<Admitted | ConvergentError> {
  if (rows.length === run.length) return run.map((append, index) => outcomeOf(append, rows[index] as Values));
  const [, , firstLast, at] = rows[0] as [boolean, number, number, number];
  let before = firstLast - (run[0] as PreparedAppend).events.length;
  return run.map((append) => {
    const place = { before, version: numberOf(append.request.expected), at };
    before += append.events.length;
    return admittedAt(append, place);
  });
}

function outcomeOf(append: PreparedAppend, row: Values): Admitted | ConvergentError {
  const [isAdmitted, version, last, at] = row as [boolean, number, number, number];
  const { idKey, digest, events } = append;
  if (isAdmitted) return admittedAt(append, { before: last - events.length, version, at });
  if (idKey && row[5] !== null) return outcomeOfKnown(idRecordOf(idKey, row.slice(5, 12)), digest);
  return { kind: "conflict", version };
}

/** Behind the position `before` and the stream's `version`. */
function admittedAt(
  { idKey, digest, events }: PreparedAppend,
  { before, version, at }: { readonly before: number; readonly version: number; readonly at: number },
): Admitted {
  const stored = events.map(
    (event, index): StoredEvent => ({ ...event, position: (before + index + 1) as Position, version: version + index + 1, at }),
  );
  return { kind: "appended", events: stored, record: idKey && recordOf(idKey, digest, stored), repeated: false };
}

/** `expected` as the server compares it. */
export function numberOf(expected: Expected): number {
  switch (expected) {
    case "any":
      return expectedAny;
    case "some":
      return expectedSome;
    case "none":
      return 0;
    default:
      return Math.min(expected, versionMax);
  }
}
