/** A view whose reader sees for itself: of each stream how many events were applied, and the position of the last one. */
import { type Log, Reader, type StoredEvent } from "convergent";

export const counts = { view: "counts", version: 1 } as const;

export interface CountOfStream {
  readonly events: number;
  readonly position: number;
}

/** Complains of an event that is not the next one of its stream. */
export function countsReader(log: Log, complain: (message: string) => void): Reader {
  return new Reader<StoredEvent>({
    name: counts.view,
    version: counts.version,
    source: log,
    effects: log,
    prepare: (event) => event,
    orderKey: "stream",
    derived: true,
    apply: async (tx, events) => {
      const streams = [...new Set(events.map((event) => event.stream))];
      const texts = await tx.documents(counts.view, counts.version, streams);
      const found = new Map(
        streams.map((stream, index) => [stream, JSON.parse(texts[index] ?? '{"events":0,"position":0}') as CountOfStream]),
      );
      for (const { stream, version, position } of events) {
        const before = found.get(stream) as CountOfStream;
        if (version !== before.events + 1) complain(`version ${version} of ${stream} is applied after ${before.events} of its events`);
        found.set(stream, { events: before.events + 1, position });
      }
      await tx.saveDocuments([...found].map(([key, document]) => ({ ...counts, key, document: JSON.stringify(document), indexes: [] })));
    },
  });
}
