/** The events that the waits of a saga were answered with: history says where they lie, and they are read there. */
import type { EventCodec } from "../log/codec.ts";
import type { Envelope, StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { EventPlace, Told } from "./facts.ts";
import { Diverged } from "./journal.ts";

/** By step. One that is not in the log any more is missing. */
export async function heardBefore(log: Log, history: readonly Told[]): Promise<ReadonlyMap<string, StoredEvent>> {
  const waits = new Set(history.flatMap((fact) => (fact.name === "begun" && fact.data.kind === "event" ? [fact.data.step] : [])));
  const places = history.flatMap((fact) =>
    fact.name === "done" && waits.has(fact.data.step) && fact.data.result !== undefined
      ? [{ step: fact.data.step, ...(fact.data.result as EventPlace) }]
      : [],
  );
  const heard = new Map<string, StoredEvent>();
  if (places.length === 0) return heard;
  return log.snapshot(async (tx) => {
    for (const { step, stream, version } of places) {
      const [event] = await log.stream(stream, { after: version - 1, upTo: version }, tx);
      if (event) heard.set(step, event);
    }
    return heard;
  });
}

/** The event at a place that history has as the answer of a step; undefined when the answer was that none came. */
export function heardEvent(
  step: string,
  place: unknown,
  { heard, decode }: { readonly heard: ReadonlyMap<string, StoredEvent>; readonly decode: EventCodec["decode"] },
): Envelope | undefined {
  if (place === undefined) return undefined;
  const event = heard.get(step);
  if (event) return decode(event);
  const { stream, version } = place as EventPlace;
  throw new Diverged(`history has "${step}" answered by version ${version} of ${stream}, which is not in the log`);
}
