/** Which readers of a service can be late, and which of them shall be. */
import { ConvergentError } from "../errors/error.ts";
import { type Lag, type LagRange, parseLag } from "../readers/lag.ts";
import type { AnyParts } from "./facade.ts";

/** The names of a service's readers: its eventual views and its reactions. Strong views are never behind and have none. */
export function readerNames({ parts }: { readonly parts: AnyParts }): string[] {
  return Object.values(parts).flatMap((part) =>
    part.kind === "reaction" || (part.kind === "view" && part.consistency === "eventual") ? [part.name] : [],
  );
}

/** How late each reader is, by name. Throws `not_found` for a name that is none of a reader, `invalid_input` for a range that is none. */
export function lagsOf(
  service: { readonly name: string; readonly parts: AnyParts },
  lags: Readonly<Record<string, LagRange>>,
): ReadonlyMap<string, Lag> {
  const known = readerNames(service);
  for (const name of Object.keys(lags)) {
    if (known.includes(name)) continue;
    const isView = Object.values(service.parts).some((part) => part.kind === "view" && part.name === name);
    throw new ConvergentError(
      "not_found",
      isView
        ? `lag names "${name}", which is a strong view of "${service.name}" and never behind; its readers are ${known.join(", ") || "none"}`
        : `lag names "${name}", which is no reader of "${service.name}"; its readers are ${known.join(", ") || "none"}`,
      { details: { known } },
    );
  }
  return new Map(Object.entries(lags).map(([name, range]) => [name, parseLag(range, name)]));
}
