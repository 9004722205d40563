// What the writing processes of the tests do, in a form in which the test that started one can ask for the same again.
import { writeSync } from "node:fs";
import { type AppendRequest, type Log, Reader, type StoredEvent } from "convergent";
import { appended, positionOf } from "./log-questions.ts";
import type { StoreKind } from "./store-kinds.ts";

export interface Workload {
  readonly name: string;
  readonly writers: number;
  readonly turns: number;
}

/** What a process says of each append that was acknowledged. Times are nanoseconds of the machine's one monotonic clock. */
export interface Acknowledged {
  readonly id: string;
  readonly start: number;
  readonly end: number;
  readonly position: number;
  readonly firstVersion: number;
}

export function idOf(load: Workload, writer: number, turn: number): string {
  return `${load.name}-${writer}-${turn}`;
}

/** One or two events to one of five streams that all writers share. */
export function requestOf(load: Workload, writer: number, turn: number): AppendRequest {
  const id = idOf(load, writer, turn);
  const events = turn % 3 === 0 ? [`${id} a`, `${id} b`] : [`${id} a`];
  return {
    stream: `order/${(7 * writer + turn) % 5}`,
    expected: "any",
    events: events.map((data) => ({ type: "note.written", data })),
    id: { scope: "caller", id },
  };
}

/** Every request of a workload. */
export function requestsOf(load: Workload): AppendRequest[] {
  return Array.from({ length: load.writers * load.turns }, (_, index) =>
    requestOf(load, index % load.writers, Math.floor(index / load.writers)),
  );
}

/** Appends, each writer one after another, and tells of each when it was acknowledged. */
export async function run(log: Log, load: Workload, tell: (line: Acknowledged) => void = say): Promise<void> {
  const now = (): number => Number(process.hrtime.bigint());
  const write = async (writer: number): Promise<void> => {
    for (let turn = 0; turn < load.turns; turn++) {
      const start = now();
      const outcome = appended(await log.append(requestOf(load, writer, turn)));
      tell({ id: idOf(load, writer, turn), start, end: now(), position: positionOf(outcome), firstVersion: outcome.firstVersion });
    }
  };
  await Promise.all(Array.from({ length: load.writers }, (_, writer) => write(writer)));
}

/** One line of JSON on stdout, written before this returns: a process that is killed next has said it. */
export function say(line: unknown): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

/** The view that the crash tests keep: of each stream the positions of its events, so that one applied twice or skipped is seen. */
export const tally = { view: "tally", version: 1 } as const;

/** Follows the log and keeps the tally, a few events at a time so that it commits often. */
export function tallyReader(log: Log): Reader {
  return new Reader<StoredEvent>({
    name: tally.view,
    version: tally.version,
    source: log,
    effects: log,
    batchEvents: 5,
    prepare: (event) => event,
    orderKey: (event) => event.stream,
    apply: async (tx, events) => {
      const streams = [...new Set(events.map((event) => event.stream))];
      const texts = await tx.documents(tally.view, tally.version, streams);
      const rows = streams.map((stream, index) => {
        const positions = [...(JSON.parse(texts[index] ?? "[]") as number[])];
        for (const event of events) if (event.stream === stream) positions.push(event.position);
        return {
          ...tally,
          key: stream,
          document: JSON.stringify(positions),
          indexes: [{ field: "count", value: String(positions.length) }],
        };
      });
      await tx.saveDocuments(rows);
    },
  });
}

/** What a writing process is told, as JSON in its first argument. */
export interface Orders {
  readonly kind: StoreKind["name"];
  readonly place: string;
  readonly load: Workload;
  /** Keep the tally meanwhile. */
  readonly reads?: boolean;
  /** Die at this point, when it is reached for the n-th time. */
  readonly crash?: { readonly point: string; readonly hit: number };
  /** Open the store, say so, and begin only when a line comes on stdin. */
  readonly waits?: boolean;
  /** Go on writing, workload after workload, until a line comes on stdin. */
  readonly endless?: boolean;
  /** End without closing anything. */
  readonly leavesOpen?: boolean;
  /** Give up root's rights before opening the store. */
  readonly powerless?: boolean;
}
