/**
 * What a race must have come to, asked of the table of events as plain SQL reads it, of what writers were told, and of what those
 * who followed meanwhile have seen. Pure: it reads nothing.
 */
import { createHash } from "node:crypto";

/** A row of the table of events, in the order of positions. */
export interface Row {
  readonly position: number;
  readonly id: string;
  readonly stream: string;
  readonly version: number;
  readonly at: number;
  /** The append it is of, and its place there, from 0. */
  readonly append: string;
  readonly index: number;
  /** When its transaction was committed, in microseconds as the server counts them; undefined where it does not keep that. */
  readonly committedAt?: bigint;
}

/** What the writer of an append knows of it. Times are nanoseconds of the machine's one monotonic clock. */
export interface Told {
  readonly append: string;
  readonly events: number;
  readonly outcome: "acknowledged" | "refused" | "unknown";
  /** Of the last event, when it was acknowledged by the call that wrote it. */
  readonly position?: number;
  readonly start?: number;
  readonly end?: number;
}

/** What somebody who followed the log to its end has seen. */
export interface Seen {
  readonly name: string;
  readonly events: number;
  /** Positions that were passed over, and events that came again or late. */
  readonly skipped: number;
  readonly doubled: number;
  /** Of all ids, in the order seen. */
  readonly digest: string;
}

export const checks = [
  "position missing or given twice",
  "version missing or given twice",
  "time runs backwards",
  "committed after a later position",
  "acknowledged and not there",
  "acknowledged elsewhere",
  "refused and there",
  "torn or doubled append",
  "written by nobody",
  "began after another had ended, and has the lower position",
  "skipped by a reader",
  "doubled by a reader",
  "a reader saw another log",
] as const;
export type Check = (typeof checks)[number];

export interface Violation {
  readonly check: Check;
  readonly message: string;
  /** How many of them, when the message stands for several. */
  readonly count: number;
}

/** A digest of ids, one after another. */
export class Chain {
  readonly #hash = createHash("sha256");

  add(id: string): void {
    this.#hash.update(`${id}\n`);
  }

  digest(): string {
    return this.#hash.digest("base64url");
  }
}

/** Everything that is not as it has to be. */
export function judge(rows: readonly Row[], told: readonly Told[], seen: readonly Seen[]): Violation[] {
  return [...ofOrder(rows), ...ofAppends(rows, told), ...ofRealTime(told), ...ofReaders(rows, seen)];
}

function one(check: Check, message: string): Violation {
  return { check, message, count: 1 };
}

function ofOrder(rows: readonly Row[]): Violation[] {
  const found: Violation[] = [];
  const versions = new Map<string, number>();
  let last: Row | undefined;
  for (const row of rows) {
    const expected = (last?.position ?? 0) + 1;
    if (row.position !== expected) found.push(one("position missing or given twice", `${row.position} stands where ${expected} has to`));
    const version = (versions.get(row.stream) ?? 0) + 1;
    if (row.version !== version)
      found.push(
        one("version missing or given twice", `${row.stream} has ${row.version} at position ${row.position}, after ${version - 1}`),
      );
    versions.set(row.stream, row.version);
    if (last && row.at < last.at) found.push(one("time runs backwards", `position ${row.position} is older than the one before it`));
    if (last?.committedAt !== undefined && row.committedAt !== undefined && row.committedAt < last.committedAt)
      found.push(
        one(
          "committed after a later position",
          `${last.position} was committed ${last.committedAt - row.committedAt} µs after ${row.position}`,
        ),
      );
    last = row;
  }
  return found;
}

function ofAppends(rows: readonly Row[], told: readonly Told[]): Violation[] {
  const found: Violation[] = [];
  const written = new Map<string, Row[]>();
  for (const row of rows) {
    const those = written.get(row.append);
    if (those) those.push(row);
    else written.set(row.append, [row]);
  }
  for (const { append, events, outcome, position } of told) {
    const those = written.get(append) ?? [];
    written.delete(append);
    if (those.length === 0) {
      if (outcome === "acknowledged") found.push(one("acknowledged and not there", append));
      continue;
    }
    if (outcome === "refused") found.push(one("refused and there", `${append} is at position ${those[0]?.position}`));
    const first = (those[0] as Row).position;
    if (those.length !== events || those.some((row, index) => row.index !== index || row.position !== first + index))
      found.push(
        one("torn or doubled append", `${append} of ${events} events is at positions ${those.map((row) => row.position).join(", ")}`),
      );
    if (position !== undefined && those.at(-1)?.position !== position)
      found.push(one("acknowledged elsewhere", `${append} ends at ${those.at(-1)?.position}, and ${position} was answered`));
  }
  for (const append of written.keys()) found.push(one("written by nobody", append));
  return found;
}

/** An append that begins when another one has ended has the higher position: who reads the one reads the other. */
function ofRealTime(told: readonly Told[]): Violation[] {
  const spans = told.filter(
    (each): each is Told & { position: number; start: number; end: number } => each.position !== undefined && each.end !== undefined,
  );
  const byStart = spans.toSorted((a, b) => a.start - b.start);
  const byEnd = spans.toSorted((a, b) => a.end - b.end);
  const found: Violation[] = [];
  let ended = 0;
  let highest = 0;
  for (const { append, start, position } of byStart) {
    for (let next = byEnd[ended]; next && next.end < start; next = byEnd[++ended]) highest = Math.max(highest, next.position);
    if (position <= highest)
      found.push(
        one("began after another had ended, and has the lower position", `${append} has ${position}, and ${highest} had been answered`),
      );
  }
  return found;
}

function ofReaders(rows: readonly Row[], seen: readonly Seen[]): Violation[] {
  const chain = new Chain();
  for (const { id } of rows) chain.add(id);
  const digest = chain.digest();
  return seen.flatMap(({ name, events, skipped, doubled, digest: own }) => {
    const found: Violation[] = [];
    if (skipped > 0) found.push({ check: "skipped by a reader", message: `${name} passed over ${skipped} positions`, count: skipped });
    if (doubled > 0)
      found.push({ check: "doubled by a reader", message: `${name} was given ${doubled} events again or late`, count: doubled });
    if (events !== rows.length || own !== digest)
      found.push(
        one("a reader saw another log", `${name} saw ${events} events, and the log has ${rows.length}, or others, or in another order`),
      );
    return found;
  });
}
