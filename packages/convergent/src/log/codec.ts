/**
 * The one way between the data that the log holds and the data that code is given: encoded at the append, brought up to
 * the present version of its event at every read. Stored bytes never change.
 *
 * - Reading never throws: where data cannot be given, the envelope is there with everything else, and touching `data`
 *   throws. So a reader can still tell whose event it is, and park it.
 * - What is not needed costs nothing: an event of version 1 without upcasters is one lookup more than parsing it.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Host } from "../host/host.ts";
import { notJson } from "./digest.ts";
import { type Envelope, envelopeAround, type Metadata, type NewEvent, type StoredEvent, toEnvelope } from "./event.ts";
import { type EventForm, formOf, type PersonalForm, plainForm, type Upcaster } from "./event-definition.ts";
import type { KeyVault } from "./key-vault.ts";
import { isMarked, type Marks, withoutMarks } from "./marks.ts";
import type { Schemas } from "./schema.ts";
import { type SealedPlace, seal, unseal } from "./sealing.ts";

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

/** By stored type; "retired" for those that mean nothing any more. */
type Forms = ReadonlyMap<string, EventForm | "retired">;

// Made once for all who read the entity: each view has three codecs, and a thousand views of an entity with a thousand
// events held 200 MB of them, which made every collection of young objects four times as long.
const formsKnown = new WeakMap<EventFamily, Forms>();

function formsOf(family: EventFamily): Forms {
  const known = formsKnown.get(family);
  if (known) return known;
  const { name, events, retired } = family;
  const forms = new Map<string, EventForm | "retired">();
  for (const [event, schema] of Object.entries(events)) forms.set(`${name}.${event}`, formOf(schema));
  for (const event of retired) forms.set(`${name}.${event}`, "retired");
  formsKnown.set(family, forms);
  return forms;
}

/** What seals and opens personal data. A service without a vault has definitions without any. */
export interface Sealing {
  readonly vault: KeyVault | undefined;
  readonly host: Pick<Host, "random">;
}

/** Reads and writes the events of some entities as their present definitions have them. */
export class EventCodec {
  /** Whether any of the events has fields with personal data. */
  readonly isPersonal: boolean;
  readonly #families: readonly string[];
  readonly #forms: Forms;
  readonly #sealing: Sealing | undefined;

  constructor(families: readonly EventFamily[], sealing?: Sealing) {
    this.#sealing = sealing;
    this.#families = families.map(({ name }) => `${name}.`);
    const all = families.map(formsOf);
    this.#forms = all.length === 1 ? (all[0] as Forms) : new Map(all.flatMap((forms) => [...forms]));
    this.isPersonal = [...this.#forms.values()].some((form) => form !== "retired" && form.personal);
  }

  /** Throws `definition_invalid` when there is personal data and no vault for its keys. */
  requireVault(): void {
    if (this.isPersonal) this.#requireSealing();
  }

  /** Changes when a person whose data was unsealed may have been forgotten since. */
  generation(): string {
    return this.isPersonal ? (this.#sealing?.vault?.generation() ?? "") : "";
  }

  /** Whether a type belongs to one of these entities and its definition does not know it. */
  readonly isUnknown = (type: string): boolean => !this.#forms.has(type) && this.#families.some((family) => type.startsWith(family));

  /** An event to append to a stream, with what its readers will need. `data` has passed its schema. Throws `person_forgotten`. */
  async encode(stream: string, type: string, data: unknown): Promise<NewEvent> {
    const form = this.#form(type);
    const schema = form.version === 1 ? {} : { $schema: form.version };
    if (form.personal) {
      const sealed = await this.#sealed({ stream, type }, data as Readonly<Record<string, unknown>>, form.personal);
      return { type, data: sealed.data, marks: { ...schema, ...sealed.marks } };
    }
    return form.version === 1 ? { type, data } : { type, data, marks: schema };
  }

  /** The data as of the event's present version, or `dropped`. Throws `upcast_failed`, `event_unknown`, `seal_broken`. */
  data(event: StoredEvent): unknown {
    const form = this.#forms.get(event.type);
    if (form === plainForm && !isMarked(event.metadata)) return JSON.parse(event.data);
    return this.#read(event, form);
  }

  /** The event as its readers see it. Never throws: touching `data` does, when it cannot be given. */
  readonly decode = (event: StoredEvent): Envelope => this.#decode(event, (pseudonym) => this.#sealing?.vault?.key(pseudonym));

  /** The event as it will be seen once its person is forgotten. */
  readonly decodeForgotten = (event: StoredEvent): Envelope => this.#decode(event, () => undefined);

  /** For the audit trail: what cannot be brought up to date is shown as it was written. */
  readonly audited = (event: StoredEvent): Envelope => {
    const envelope = this.decode(event);
    const asWritten = (): Envelope => envelopeAround(event, JSON.parse(event.data), envelope.metadata);
    try {
      requireReadable(envelope);
      return isDropped(envelope) ? asWritten() : envelope;
    } catch {
      return asWritten();
    }
  };

  #decode(event: StoredEvent, keyOf: KeyOf): Envelope {
    const form = this.#forms.get(event.type);
    if (form === plainForm && !isMarked(event.metadata)) return toEnvelope(event);
    const metadata = withoutMarks(JSON.parse(event.metadata) as Metadata);
    try {
      const data = this.#read(event, form, keyOf);
      const envelope = envelopeAround(event, data, metadata);
      if (data === dropped) meaningless.add(envelope);
      return envelope;
    } catch (error) {
      return unreadable(envelopeAround(event, undefined, metadata), error);
    }
  }

  #read(
    event: StoredEvent,
    form: EventForm | "retired" | undefined,
    keyOf: KeyOf = (person) => this.#sealing?.vault?.key(person),
  ): unknown {
    if (form === "retired") return dropped;
    const marks = JSON.parse(event.metadata) as Marks;
    const { $schema: version = 1 } = marks;
    if (form === undefined || version > form.version) throw unknownEvent(event, form && { version, known: form.version });
    let data: unknown = opened(event, marks, keyOf);
    for (let from = version; from < form.version; from++) {
      data = upcast(event, form.upcast[from - 1] as Upcaster, data, from);
      if (data === undefined) return dropped;
    }
    return data;
  }

  async #sealed(
    place: Omit<SealedPlace, "field">,
    data: Readonly<Record<string, unknown>>,
    personal: PersonalForm,
  ): Promise<{ readonly data: unknown; readonly marks: Marks }> {
    const { vault, host } = this.#requireSealing();
    const pseudonym = vault.pseudonym(personOf(place.type, data, personal));
    const fields = Object.entries(personal.fields).filter(([field]) => data[field] !== undefined);
    if (fields.length === 0) return { data, marks: {} };
    const key = await vault.create(pseudonym);
    const values = fields.map(([field]) => [field, seal(jsonOf(data[field]), key, { ...place, field }, host.random)]);
    return { data: { ...data, ...Object.fromEntries(values) }, marks: { $person: pseudonym, $sealed: Object.fromEntries(fields) } };
  }

  #requireSealing(): { readonly vault: KeyVault; readonly host: Pick<Host, "random"> } {
    const { vault, host } = this.#sealing ?? {};
    if (vault && host) return { vault, host };
    throw new ConvergentError(
      "definition_invalid",
      "events with personal data need a store with a vault for keys: sqlite(), or memory() without a directory, whose journal would keep what is to be forgotten",
    );
  }

  #form(type: string): EventForm {
    const form = this.#forms.get(type);
    return form === undefined || form === "retired" ? plainForm : form;
  }
}

type KeyOf = (pseudonym: string) => Uint8Array | undefined;

function personOf(type: string, data: unknown, { person }: PersonalForm): string {
  const id: unknown = person(data);
  if (typeof id === "string" && id !== "") return id;
  throw new ConvergentError("definition_invalid", `the event ${type} has personal data, and its \`person\` gives no text`);
}

/** The data as it was written, with its sealed fields open, or reading as forgotten. */
function opened(event: StoredEvent, { $person, $sealed }: Marks, keyOf: KeyOf): unknown {
  const data: unknown = JSON.parse(event.data);
  if ($person === undefined || $sealed === undefined) return data;
  const key = keyOf($person);
  const { stream, type } = event;
  const fields = Object.entries($sealed).map(([field, forgotten]) => {
    const value = (data as Record<string, unknown>)[field];
    return [field, key ? (JSON.parse(unseal(value, key, { stream, type, field })) as unknown) : forgotten] as const;
  });
  return { ...(data as object), ...Object.fromEntries(fields) };
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw notJson(cause);
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
