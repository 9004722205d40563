// What the tests of stores ask of a log, in one place: everything in it, and whether positions, versions and times keep L1 and L3.
import type { Appended, AppendOutcome, AppendRequest, Log, StoredEvent } from "convergent";
import { expect } from "vitest";

export function written(stream: string, data: unknown = null, id?: string): AppendRequest {
  return {
    stream,
    expected: "any",
    events: [{ type: "note.written", data }],
    ...(id === undefined ? {} : { id: { scope: "caller", id } }),
  };
}

/** The outcome as an append that was admitted. */
export function appended(outcome: AppendOutcome): Appended {
  if (outcome.kind !== "appended") throw new Error(`the append was not admitted: ${JSON.stringify(outcome)}`);
  return outcome;
}

/** The position of the newest event of an append, as its token names it. */
export function positionOf(outcome: AppendOutcome): number {
  return appended(outcome).token.entries[0]?.position ?? 0;
}

/** Every event, read from the store and not from what the process remembers. */
export async function allEvents(log: Log): Promise<StoredEvent[]> {
  return log.snapshot(async (tx) => tx.events({ after: 0 as never, upTo: (await tx.head()).position, limit: Number.MAX_SAFE_INTEGER }));
}

/** Checks that positions and the versions of each stream are dense and that time never decreases. Returns the events. */
export async function soundEvents(log: Log): Promise<StoredEvent[]> {
  const events = await allEvents(log);
  const versions = new Map<string, number>();
  let at = 0;
  events.forEach((event, index) => {
    expect(event.position).toBe(index + 1);
    const version = (versions.get(event.stream) ?? 0) + 1;
    expect(event.version).toBe(version);
    versions.set(event.stream, version);
    expect(event.at).toBeGreaterThanOrEqual(at);
    at = event.at;
  });
  for (const [stream, version] of versions) expect((await log.streamHead(stream))?.version).toBe(version);
  return events;
}

/** The code of the failure that a promise ends with; `undefined` if it ends well. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}
