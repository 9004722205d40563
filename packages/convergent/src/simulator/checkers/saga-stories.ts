/** The streams of sagas in a history: of each lineage of a store the facts of each saga, in order. */
import { type StoredEvent, toEnvelope } from "../../log/event.ts";
import { type Facts, factOf, type Told } from "../../sagas/facts.ts";
import type { Lineages } from "./lineages.ts";

/** One saga as one lineage of its store tells it. */
export interface Story {
  readonly store: string;
  readonly lineage: number;
  readonly saga: string;
  readonly id: string;
  readonly events: readonly StoredEvent[];
  readonly facts: readonly Told[];
}

/** Every saga of every lineage. `sagas`: of each saga's name its store. */
export function storiesOf(lineages: Lineages, sagas: ReadonlyMap<string, string>): Story[] {
  const found: Story[] = [];
  for (const store of new Set(sagas.values())) {
    for (const [lineage, { events }] of lineages.of(store).entries()) {
      const streams = new Map<string, { readonly saga: string; readonly events: StoredEvent[]; readonly facts: Told[] }>();
      for (const event of events) {
        const saga = event.type.slice(0, event.type.indexOf("."));
        if (sagas.get(saga) !== store) continue;
        const story = streams.get(event.stream) ?? { saga, events: [], facts: [] };
        streams.set(event.stream, story);
        story.events.push(event);
        story.facts.push(factOf(toEnvelope(event)));
      }
      for (const [stream, story] of streams) found.push({ store, lineage, id: stream.slice(story.saga.length + 1), ...story });
    }
  }
  return found;
}

/** A saga as messages name it. */
export function sagaName({ saga, id, lineage }: Story): string {
  return `${saga} ${id}${lineage === 0 ? "" : ` (lineage ${lineage})`}`;
}

/** The data of all facts of one name. */
export function factsNamed<Name extends keyof Facts>({ facts }: Story, name: Name): Array<Facts[Name]> {
  return facts.flatMap((fact) => (fact.name === name ? [fact.data as Facts[Name]] : []));
}
