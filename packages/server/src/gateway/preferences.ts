/** What a caller prefers: how fresh an answer must be, how long to wait for it, how a conflict is met (`Prefer`, RFC 7240; `Cache-Control`). */
import { type ConflictPolicy, wire } from "convergent";
import type { HeaderRecord } from "./problem.ts";

const waitDefaultMs = 1000;
const waitMaxMs = 30_000;

export interface Preferences {
  readonly waitMs: number;
  /** Rather an error than a stale answer. */
  readonly strict: boolean;
  /** What to echo: the preferences that are honoured. */
  readonly applied: HeaderRecord;
}

/** The preferences of a read. Unknown and malformed ones are ignored, as RFC 7240 asks. */
export function preferencesOf(headers: Headers): Preferences {
  const asked = askedOf(headers);
  if (asked === nothing) return noPreferences;
  const waitMs = waitMsOf(asked);
  const handling = oneOf(asked.get("handling"), ["strict", "lenient"]);
  return {
    waitMs: waitMs ?? waitDefaultMs,
    strict: handling === "strict",
    applied: appliedOf({ wait: waitMs === undefined ? undefined : waitMs / 1000, handling }),
  };
}

/** How long an answer may be held back until there is news: not at all unless that is asked for. */
export function holdOf(headers: Headers): { readonly waitMs: number; readonly applied: HeaderRecord } {
  const waitMs = waitMsOf(askedOf(headers));
  return { waitMs: waitMs ?? 0, applied: appliedOf({ wait: waitMs === undefined ? undefined : waitMs / 1000 }) };
}

export interface CommandPreferences {
  /** How long to wait for another request with the same key. */
  readonly waitMs: number;
  readonly onConflict: ConflictPolicy | undefined;
  readonly applied: HeaderRecord;
}

/** The preferences of a command. */
export function commandPreferencesOf(headers: Headers): CommandPreferences {
  const asked = askedOf(headers);
  const waitMs = waitMsOf(asked);
  const onConflict = oneOf(asked.get("on-conflict"), ["reject", "retry", "merge"]);
  const applied = appliedOf({ wait: waitMs === undefined ? undefined : waitMs / 1000, "on-conflict": onConflict });
  return { waitMs: waitMs ?? waitDefaultMs, onConflict, applied };
}

const nothing: ReadonlyMap<string, string> = new Map();
const noPreferences: Preferences = { waitMs: waitDefaultMs, strict: false, applied: Object.freeze({}) };

/** Preferences by name, the first one of each; without their parameters. */
function askedOf(headers: Headers): ReadonlyMap<string, string> {
  const header = headers.get(wire.headers.prefer);
  if (header === null) return nothing;
  const asked = new Map<string, string>();
  for (const part of header.split(",")) {
    const [name = "", value] = (part.split(";", 1)[0] as string).split("=", 2).map(bare);
    if (value !== undefined && !asked.has(name)) asked.set(name, value);
  }
  return asked;
}

function bare(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/^"(.*)"$/, "$1");
}

function waitMsOf(asked: ReadonlyMap<string, string>): number | undefined {
  const wait = asked.get("wait");
  return wait !== undefined && /^\d{1,9}(?:\.\d{1,3})?$/.test(wait) ? Math.min(waitMaxMs, Number(wait) * 1000) : undefined;
}

function oneOf<Value extends string>(value: string | undefined, known: readonly Value[]): Value | undefined {
  return known.find((candidate) => candidate === value);
}

/** What is honoured, echoed. */
function appliedOf(honoured: Readonly<Record<string, string | number | undefined>>): HeaderRecord {
  const applied = Object.entries(honoured).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return applied.length > 0 ? { [wire.headers.preferenceApplied]: applied.join(", ") } : {};
}

/** Milliseconds of age that a reader of this request accepts: 0 for `no-cache`, `undefined` when it does not say. */
export function maxAgeMsOf(headers: Headers): number | undefined {
  const header = headers.get(wire.headers.cacheControl);
  if (header === null) return undefined;
  if (/(?:^|[,\s])no-cache(?:$|[,\s])/i.test(header)) return 0;
  const match = /(?:^|[,\s])max-age=(\d{1,9}(?:\.\d{1,3})?)(?:$|[,\s])/i.exec(header);
  return match ? Number(match[1]) * 1000 : undefined;
}
