/**
 * What the toolkit itself writes into an event's metadata, where the digest covers it: names that begin with "$". Code
 * that reads events never sees them, and no caller may set them.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Metadata } from "./event.ts";

export interface Marks {
  /** Version of the event's data; 1 when absent. */
  readonly $schema?: number;
  /** Pseudonym of the person whose data is sealed in it. */
  readonly $person?: string;
  /** The fields that are sealed, with what each reads as once the person is forgotten. */
  readonly $sealed?: Readonly<Record<string, unknown>>;
}

/** Whether metadata may hold marks; a look at the text, because nearly all events have none. */
export function isMarked(metadata: string): boolean {
  return metadata !== "{}" && metadata.includes('"$');
}

/** Whether an event may hold sealed fields. */
export function isSealed(metadata: string): boolean {
  return metadata.includes('"$person"');
}

/** The pseudonym of the person whose data an event holds. */
export function personIn(metadata: string): string | undefined {
  return isSealed(metadata) ? (JSON.parse(metadata) as Marks).$person : undefined;
}

/** The metadata that code is given. */
export function withoutMarks(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !name.startsWith("$")));
}

/** Throws `invalid_input` for metadata that sets a mark. */
export function requireUnmarked(metadata: Metadata): void {
  const mark = Object.keys(metadata).find((name) => name.startsWith("$"));
  if (mark !== undefined)
    throw new ConvergentError("invalid_input", `metadata cannot have the name "${mark}": those that begin with $ are the toolkit's own`);
}
