/**
 * The one way between the data that the log holds and the data that code is given: encoded at the append, brought up to
 * the present version of its event at every read. Stored bytes never change.
 *
 * - Reading never throws: where data cannot be given, the envelope is there with everything else, and touching `data`
 *   throws. So a reader can still tell whose event it is, and park it.
 * - What is not needed costs nothing: an event of version 1 without upcasters is one lookup more than parsing it.
 */
import { ConvergentError } from "../errors/error.ts";
import { type Envelope, envelopeAround, type Metadata, type NewEvent, type StoredEvent, toEnvelope } from "./event.ts";
import { type EventForm, formOf, plainForm, type Upcaster } from "./event-definition.ts";
import { isMarked, type Marks, withoutMarks } from "./marks.ts";
import type { Schemas } from "./schema.ts";

/** Stands for the data of an event that is retired, or that an upcaster dropped: nobody is to be given it. */
export const dropped: unique symbol = Symbol("dropped");

const meaningless = new WeakSet<Envelope>();

/** Whether an event means nothing any more, so that nobody is to handle it. */
export function isDropped(event: Envelope): boolean {
  return meaningless.has(event);
}

/** The events of one entity, as its definition knows them. */
export interface EventFamily {
  readonly name: string;
  readonly events: Schemas;
  /** Names of events that lie in logs and mean nothing any more. */
  readonly retired: readonly string[];
}

/** Reads and writes the events of some entities as their present definitions have them. */
export class EventCodec {
  readonly #families: readonly string[];
  // By stored type; "retired" for those that mean nothing any more.
  readonly #forms = new Map<string, EventForm | "retired">();

  constructor(families: readonly EventFamily[]) {
    this.#families = families.map(({ name }) => `${name}.`);
    for (const { name, events, retired } of families) {
      for (const [event, schema] of Object.entries(events)) this.#forms.set(`${name}.${event}`, formOf(schema));
      for (const event of retired) this.#forms.set(`${name}.${event}`, "retired");
    }
  }

  /** Whether a type belongs to one of these entities and its definition does not know it. */
  readonly isUnknown = (type: string): boolean => !this.#forms.has(type) && this.#families.some((family) => type.startsWith(family));

  /** An event to append, with what its readers will need. `data` has passed its schema. */
  encode(type: string, data: unknown): NewEvent {
    const form = this.#form(type);
    return form.version === 1 ? { type, data } : { type, data, marks: { $schema: form.version } };
  }

  /** The data as of the event's present version, or `dropped`. Throws `upcast_failed`, `event_unknown`. */
  data(event: StoredEvent): unknown {
    const form = this.#forms.get(event.type);
    if (form === plainForm && !isMarked(event.metadata)) return JSON.parse(event.data);
    return this.#read(event, form);
  }

  /** The event as its readers see it. Never throws: touching `data` does, when it cannot be given. */
  readonly decode = (event: StoredEvent): Envelope => {
    const form = this.#forms.get(event.type);
    if (form === plainForm && !isMarked(event.metadata)) return toEnvelope(event);
    const metadata = withoutMarks(JSON.parse(event.metadata) as Metadata);
    try {
      const data = this.#read(event, form);
      const envelope = envelopeAround(event, data, metadata);
      if (data === dropped) meaningless.add(envelope);
      return envelope;
    } catch (error) {
      return unreadable(envelopeAround(event, undefined, metadata), error);
    }
  };

  /** For the audit trail: what cannot be brought up to date is shown as it was written. */
  readonly audited = (event: StoredEvent): Envelope => {
    const envelope = this.decode(event);
    const asWritten = (): Envelope => envelopeAround(event, JSON.parse(event.data), envelope.metadata);
    try {
      return envelope.data === dropped ? asWritten() : envelope;
    } catch {
      return asWritten();
    }
  };

  #read(event: StoredEvent, form: EventForm | "retired" | undefined): unknown {
    if (form === "retired") return dropped;
    const { $schema: version = 1 } = JSON.parse(event.metadata) as Marks;
    if (form === undefined || version > form.version) throw unknownEvent(event, form && { version, known: form.version });
    let data: unknown = JSON.parse(event.data);
    for (let from = version; from < form.version; from++) {
      data = upcast(event, form.upcast[from - 1] as Upcaster, data, from);
      if (data === undefined) return dropped;
    }
    return data;
  }

  #form(type: string): EventForm {
    const form = this.#forms.get(type);
    return form === undefined || form === "retired" ? plainForm : form;
  }
}

/** Throws `upcast_failed` or `event_unknown` for an event whose data cannot be given. For readers of events that nobody handles. */
export function requireReadable(event: Envelope): void {
  void event.data;
}

function upcast(event: StoredEvent, step: Upcaster, data: unknown, from: number): unknown {
  try {
    return (step as (data: unknown) => unknown)(data);
  } catch (cause) {
    throw new ConvergentError(
      "upcast_failed",
      `the upcaster of ${event.type} from version ${from} threw at ${placeOf(event)}: ${cause instanceof Error ? cause.message : String(cause)}; correct it so that it takes every event of that version`,
      { cause, details: { ...detailsOf(event), schemaVersion: from } },
    );
  }
}

function unknownEvent(event: StoredEvent, newer: { version: number; known: number } | undefined): ConvergentError {
  const why = newer
    ? `was written as version ${newer.version} of its event, and this release knows versions up to ${newer.known}; run the newer release`
    : "has a type that the definition does not know; run the release that has it, or name the event in `retired` if it means nothing any more";
  return new ConvergentError("event_unknown", `the event ${event.type} at ${placeOf(event)} ${why}`, { details: detailsOf(event) });
}

function placeOf(event: StoredEvent): string {
  return `${event.stream} version ${event.version} (position ${event.position})`;
}

function detailsOf({ type, stream, version, position, id }: StoredEvent): Readonly<Record<string, unknown>> {
  return { type, stream, version, position, id };
}

function unreadable(envelope: Envelope, error: unknown): Envelope {
  return Object.defineProperty(envelope, "data", {
    enumerable: true,
    get: () => {
      throw error;
    },
  });
}
