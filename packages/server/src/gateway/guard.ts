/**
 * Keeps other web sites out. Of a server that only this machine may use: a name that somebody else's DNS points here
 * (rebinding) is refused by its `Host`. Of every server: a page of another origin that writes in a visitor's name is
 * refused by its `Origin`, unless it was named.
 */
import { ConvergentError } from "convergent";

export interface GuardRules {
  /** Only this machine is served. */
  readonly local: boolean;
  /** The values of `Host` that are answered, when they are known. */
  readonly hosts?: ReadonlySet<string>;
  /** Origins, beside the server's own, whose pages may write. */
  readonly allows: (origin: string) => boolean;
}

/** Why a request is refused; `undefined` when it may pass. */
export function guard(request: Pick<Request, "method" | "headers">, { local, hosts, allows }: GuardRules): ConvergentError | undefined {
  const { headers, method } = request;
  const host = headers.get("host");
  // Without the header the request came through no socket: HTTP parsers demand one.
  if (host !== null && local && !isLoopback(host))
    return forbidden(`this server is for this machine only and does not answer as "${host.slice(0, 100)}"; use localhost`);
  if (host !== null && hosts && !hosts.has(host.toLowerCase())) return forbidden(`this server does not answer as "${host.slice(0, 100)}"`);
  if (method === "GET" || method === "HEAD") return undefined;
  const origin = headers.get("origin");
  if (origin === null)
    return headers.get("sec-fetch-site") === "cross-site" ? forbidden("pages of another site may not write here") : undefined;
  const authority = origin.replace(/^https?:\/\//, "");
  const own = local ? isLoopback(authority) : authority !== origin && authority === host;
  return own || allows(origin) ? undefined : forbidden(`pages of ${origin.slice(0, 100)} may not write here`);
}

/** Whether a host, with or without port, is this machine by every resolver: localhost, names below it, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  return /^(?:(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(host);
}

function forbidden(reason: string): ConvergentError {
  return new ConvergentError("forbidden", reason);
}
