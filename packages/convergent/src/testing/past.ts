/** What is given: events of the past, checked, encoded and appended as the toolkit itself does it. */
import type { AnyEntity, Entity } from "../entities/entity.ts";
import { eventType } from "../entities/entity.ts";
import { EventCodec } from "../log/codec.ts";
import { type Metadata, type NewEvent, streamOf } from "../log/event.ts";
import { formOf } from "../log/event-definition.ts";
import { type InputOf, type Schema, type Schemas, validated } from "../log/schema.ts";
import { type StillLog, usualTime } from "./still-log.ts";

/** An event as a command emits it: its name and its data, in which what the schema fills in may be left out. */
export type NamedData<Events extends Schemas> = {
  [Name in keyof Events & string]: readonly [name: Name, data: InputOf<Events[Name]>];
}[keyof Events & string];

/** That an event was written as an older version of itself, or before it was retired; its data is then what was written. */
export interface Written {
  /** Of the event's data, counted from 1. */
  readonly version: number;
}

/** An event of an entity's past. */
export type PastEvent<Events extends Schemas> = NamedData<Events> | readonly [name: string, data: unknown, written: Written];

/** What else may be said of an event that a view is given. */
export interface About {
  /** When it happened: a date, or milliseconds since 1970. Default: 2026-01-01, and a second later for each event before it. */
  readonly at?: Date | number;
  readonly metadata?: Metadata;
}

/** An event that a view is given: its type, the id of its entity, its data. */
export type ViewedEvent<E extends AnyEntity> =
  E extends Entity<infer Name, infer _State, infer Events, infer _Inputs>
    ?
        | {
            [Event in keyof Events & string]:
              | readonly [type: `${Name}.${Event}`, entityId: string, data: InputOf<Events[Event]>]
              | readonly [type: `${Name}.${Event}`, entityId: string, data: InputOf<Events[Event]>, about: About];
          }[keyof Events & string]
        | readonly [type: `${Name}.${string}`, entityId: string, data: unknown, about: About & Written]
    : never;

/** An event of the past, of whatever kind it was given. */
export interface Past {
  readonly entity: AnyEntity;
  readonly entityId: string;
  /** Its name, without the entity's. */
  readonly name: string;
  readonly data: unknown;
  readonly about: About & Partial<Written>;
}

/** Appends the past of some entities to a log that has none. Throws an `Error` that says what could not be. */
export async function appendPast(still: StillLog, past: readonly Past[]): Promise<void> {
  const { log } = still;
  const codec = new EventCodec([...new Set(past.map(({ entity }) => entity))], log);
  let before = -Infinity;
  for (const [index, each] of past.entries()) {
    const stream = streamOf(each.entity.name, each.entityId);
    const at = timeOf(each, usualTime(index), before);
    before = at;
    still.setTime(at);
    const event = await encoded(codec, stream, each);
    await log.append({ stream, expected: "any", events: [event], metadata: each.about.metadata ?? {} });
  }
}

async function encoded(codec: EventCodec, stream: string, { entity, name, data, about }: Past): Promise<NewEvent> {
  const type = eventType(entity.name, name);
  const schema = schemaOf(entity, name);
  if (!schema) {
    if (entity.retired.includes(name)) return { type, data };
    throw new Error(`${entity.name} has no event "${name}"; it has ${Object.keys(entity.events as Schemas).join(", ")}`);
  }
  const { version: present } = formOf(schema);
  const version = about.version ?? present;
  if (!Number.isSafeInteger(version) || version < 1 || version > present)
    throw new Error(`the event ${type} is given in version ${version}, and has versions 1 to ${present}`);
  if (version < present) return { type, data, ...(version === 1 ? {} : { marks: { $schema: version } }) };
  return codec.encode(stream, type, await checked(schema, data, `the event ${type} that is given`));
}

/** The data of an event as the log keeps it. Throws an `Error` that says what of it is not as its schema wants it. */
export async function checked(schema: Schema, data: unknown, what: string): Promise<unknown> {
  try {
    return await validated(schema, data, what);
  } catch (cause) {
    throw new Error(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

export function schemaOf(entity: AnyEntity, name: string): Schema | undefined {
  const events = entity.events as Schemas;
  return Object.hasOwn(events, name) ? events[name] : undefined;
}

function timeOf({ entity, name, about: { at } }: Past, usual: number, before: number): number {
  if (at === undefined) return Math.max(usual, before);
  const ms = typeof at === "number" ? at : at.getTime();
  const type = eventType(entity.name, name);
  if (!Number.isSafeInteger(ms)) throw new Error(`the event ${type} is given at ${String(at)}, which is no time`);
  if (ms < before)
    throw new Error(`the event ${type} is given at ${String(at)}, before the event that stands before it; a log's times never go back`);
  return ms;
}
