/** How fresh an answer must be and how long to wait for it, as `Prefer` (RFC 7240), `Cache-Control` and `Consistency-Token` say it. */
import { wire } from "convergent";
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

const none: Preferences = { waitMs: waitDefaultMs, strict: false, applied: {} };

/** The preferences of a request. Unknown and malformed ones are ignored, as RFC 7240 asks. */
export function preferencesOf(headers: Headers): Preferences {
  const header = headers.get(wire.headers.prefer);
  if (header === null) return none;
  let waitMs: number | undefined;
  let handling: string | undefined;
  for (const part of header.split(",")) {
    const [name, value] =
      part
        .split(";", 1)[0]
        ?.split("=", 2)
        .map((text) =>
          text
            .trim()
            .toLowerCase()
            .replace(/^"(.*)"$/, "$1"),
        ) ?? [];
    if (name === "wait" && waitMs === undefined && value !== undefined && /^\d{1,9}(?:\.\d{1,3})?$/.test(value))
      waitMs = Math.min(waitMaxMs, Number(value) * 1000);
    if (name === "handling" && handling === undefined && (value === "strict" || value === "lenient")) handling = value;
  }
  const applied = [...(waitMs === undefined ? [] : [`wait=${waitMs / 1000}`]), ...(handling === undefined ? [] : [`handling=${handling}`])];
  return {
    waitMs: waitMs ?? waitDefaultMs,
    strict: handling === "strict",
    applied: applied.length > 0 ? { [wire.headers.preferenceApplied]: applied.join(", ") } : {},
  };
}

/** Milliseconds of age that a reader of this request accepts: 0 for `no-cache`, `undefined` when it does not say. */
export function maxAgeMsOf(headers: Headers): number | undefined {
  const header = headers.get(wire.headers.cacheControl);
  if (header === null) return undefined;
  if (/(?:^|[,\s])no-cache(?:$|[,\s])/i.test(header)) return 0;
  const match = /(?:^|[,\s])max-age=(\d{1,9}(?:\.\d{1,3})?)(?:$|[,\s])/i.exec(header);
  return match ? Number(match[1]) * 1000 : undefined;
}
