/**
 * Fixtures of events: for each event of an entity and each version of it that a log may hold, data as it was written
 * then. Upcast data is not validated when it is read, because that would cost each read; it is here, once a release.
 */
import { dropped, EventCodec } from "../log/codec.ts";
import { formOf } from "../log/event-definition.ts";
import { type Schema, type Schemas, validated } from "../log/schema.ts";
import { origin } from "../position/position.ts";
import { type AnyEntity, eventType } from "./entity.ts";

/** Data by event and version: `{ placed: { 1: […], 2: […] } }`. */
export type EventFixtures = Readonly<Record<string, Readonly<Record<number, readonly unknown[]>>>>;

/**
 * What is wrong with the fixtures of an entity; empty when each version of each event has one, none is left over, and
 * all of them meet the present schema once they are upcast.
 */
export async function fixtureProblems(definition: AnyEntity, fixtures: EventFixtures): Promise<string[]> {
  const problems: string[] = [];
  const events = definition.events as Schemas;
  for (const [event, schema] of Object.entries(events)) {
    const { version: present } = formOf(schema);
    const given = fixtures[event] ?? {};
    for (let version = 1; version <= present; version++)
      if ((given[version] ?? []).length === 0) problems.push(`${definition.name}.${event} has no fixture of version ${version}`);
    for (const version of Object.keys(given).filter((key) => !(Number(key) >= 1 && Number(key) <= present)))
      problems.push(`${definition.name}.${event} has a fixture of version ${version}, and its versions are 1 to ${present}`);
  }
  for (const event of Object.keys(fixtures))
    if (!Object.hasOwn(events, event)) problems.push(`${definition.name} has no event "${event}", and a fixture of it`);
  return [...problems, ...(await unmet(definition, fixtures))];
}

async function unmet(definition: AnyEntity, fixtures: EventFixtures): Promise<string[]> {
  const problems: Array<string | undefined> = [];
  for (const event of Object.keys(definition.events as Schemas))
    for (const [version, all] of Object.entries(fixtures[event] ?? {}))
      for (const [index, data] of all.entries())
        problems.push(await problemOf(definition, { event, version: Number(version), number: index + 1, data }));
  return problems.filter((problem) => problem !== undefined);
}

async function problemOf(
  definition: AnyEntity,
  { event, version, number, data }: { event: string; version: number; number: number; data: unknown },
): Promise<string | undefined> {
  const type = eventType(definition.name, event);
  const what = `fixture ${number} of ${type} in version ${version}`;
  try {
    const upcast = new EventCodec([definition]).data(storedFixture(type, data, version));
    if (upcast !== dropped) await validated((definition.events as Schemas)[event] as Schema, upcast, what);
    return undefined;
  } catch (error) {
    return error instanceof Error && error.message.startsWith(what) ? error.message : `${what}: ${String(error)}`;
  }
}

function storedFixture(type: string, data: unknown, $schema: number): Parameters<EventCodec["data"]>[0] {
  const text = { data: JSON.stringify(data), metadata: JSON.stringify({ $schema }) };
  return { position: origin, id: "fixture", stream: `${type}/fixture`, version: $schema, type, at: 0, digest: "", ...text };
}
