/**
 * Events with a past: an event's schema together with how older forms of it become the present one. A plain schema is
 * an event of version 1; each upcaster leads one version further, so the present version is their number plus one.
 */
import { ConvergentError } from "../errors/error.ts";
import type { InputOf, OutputOf, Schema } from "./schema.ts";

/** Turns the data of one version into that of the next. Pure. `undefined` drops the event: it means nothing any more. */
export type Upcaster<Next = unknown> = (data: never) => Next | undefined;

/** What a codec knows of an event besides its schema. */
export interface EventForm {
  /** Of the data that is written today. */
  readonly version: number;
  /** In order: the first one takes data of version 1. */
  readonly upcast: readonly Upcaster[];
  readonly personal: PersonalForm | undefined;
}

/** Whose data an event holds, and where. */
export interface PersonalForm {
  readonly person: (data: unknown) => string;
  /** By field: what it reads as once the person is forgotten. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Fields with data of a person: sealed with that person's key in the log, and readable as long as the person is not forgotten. */
export interface PersonalOptions<Data> {
  /** Id of the person. It is kept as a pseudonym; where the data itself names it outside of `fields`, it stays readable there. */
  readonly person: (data: Data) => string;
  /** What each field reads as once the person is forgotten; a value of the field's own type, because nobody validates it then. Where a view keeps the field unique, no living person's: two who are forgotten share it, and so may others. */
  readonly fields: { readonly [Field in keyof Data]?: Data[Field] };
}

/** An event's schema that knows older forms. It stands wherever a schema stands. */
export interface EventDefinition<Input, Output> extends Schema<Input, Output> {
  readonly form: EventForm;
}

/** What is known of an event beside the schema of its present version. */
export interface EventOptions<S extends Schema> {
  /** In order, from version 1 on; the last one gives what the schema describes. Their results are not validated at each read: see `fixtureProblems`. */
  readonly upcast?: readonly [...Upcaster[], Upcaster<OutputOf<S>>];
  /** Fields with data of a person, who may one day have to be forgotten. */
  readonly personal?: PersonalOptions<OutputOf<S>>;
}

/** An event with older forms, to stand beside plain schemas in `events`. */
export function event<S extends Schema>(schema: S, options: EventOptions<S> = {}): EventDefinition<InputOf<S>, OutputOf<S>> {
  const upcast: readonly Upcaster[] = options.upcast ?? [];
  if (!upcast.every((step) => typeof step === "function"))
    throw new ConvergentError("definition_invalid", "the upcasters of an event are functions, one for each older version");
  const personal = options.personal;
  return { "~standard": schema["~standard"], form: { version: upcast.length + 1, upcast, personal } };
}

/** The form of a plain schema. */
export const plainForm: EventForm = { version: 1, upcast: [], personal: undefined };

export function formOf(schema: Schema): EventForm {
  return "form" in schema ? (schema as EventDefinition<unknown, unknown>).form : plainForm;
}
