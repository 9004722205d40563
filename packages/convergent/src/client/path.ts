/** Addresses and header values made of what callers pass in: whatever cannot travel is refused here, not retried. */
import { ConvergentError } from "../errors/error.ts";

/** The address of a gateway, without slashes at its end. Throws `definition_invalid` for what is none. */
export function gatewayAddress(url: string): string {
  // A page may name a gateway on its own origin by a path.
  if (!/^https?:\/\/[^/]/i.test(url) && !/^(?:\/|$)/.test(url))
    throw new ConvergentError("definition_invalid", `"${url}" is no address of a gateway: write it like "http://localhost:4000"`);
  return url.replace(/\/+$/, "");
}

/** The headers that every request gets. Throws `definition_invalid` for what no header can carry: it would fail with every request. */
export function usableHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(headers))
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw new ConvergentError("definition_invalid", `the header "${name}" has a name or a value that HTTP cannot carry`);
  return headers;
}

/** A part of a path. Throws `invalid_input` for names that no URL can carry. */
export function segment(name: string, what: string): string {
  if (typeof name !== "string" || name === "" || !name.isWellFormed())
    throw new ConvergentError("invalid_input", `${what} is text of at least one well-formed character`);
  // Every URL parser takes these for steps in the path, escaped or not.
  if (name === "." || name === "..") throw new ConvergentError("invalid_input", `${what} "${name}" cannot be part of an address`);
  return encodeURIComponent(name);
}

/** A query string with its question mark; empty without parameters. */
export function queryString(parameters: ReadonlyArray<readonly [name: string, value: string | number | undefined]>): string {
  const given = parameters.flatMap(([name, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`],
  );
  return given.length === 0 ? "" : `?${given.join("&")}`;
}

/** An idempotency key as a header carries it. Throws `invalid_input`. */
export function idempotencyKey(id: string): string {
  if (!/^[\x21-\x7e]{1,255}$/.test(id))
    throw new ConvergentError("invalid_input", "the id of a command has 1 to 255 visible ASCII characters, so that a header can carry it");
  return id;
}

/** Who asks, as a header carries it. Throws `invalid_input`. */
export function actorName(actor: string): string {
  if (!/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(actor))
    throw new ConvergentError(
      "invalid_input",
      "an actor has 1 to 255 ASCII characters, so that a header can carry it: an id rather than a name",
    );
  return actor;
}

/** How a conflict is met, as a header carries it. Throws `invalid_input`: the gateway ignores a preference that it does not know. */
export function policyName(policy: string): string {
  if (policy === "reject" || policy === "retry" || policy === "merge") return policy;
  throw new ConvergentError("invalid_input", `onConflict is "reject", "retry" or "merge", not ${JSON.stringify(policy)}`);
}
