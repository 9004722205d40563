/**
 * Keeps other web sites out of a server that only this machine may use. A name that somebody else's DNS points here
 * (rebinding) is refused by its `Host`; a page of another site that writes in a visitor's name is refused by its `Origin`.
 */
import { ConvergentError } from "convergent";

/** Why a request is refused; `undefined` when it may pass. */
export function guard(request: Request): ConvergentError | undefined {
  const { headers, method } = request;
  const host = headers.get("host");
  // Without the header the request came through no socket: HTTP parsers demand one.
  if (host !== null && !isLoopback(host))
    return forbidden(`this server is for this machine only and does not answer as "${host.slice(0, 100)}"; use localhost`);
  if (method === "GET" || method === "HEAD") return undefined;
  const origin = headers.get("origin");
  const foreign = origin === null ? headers.get("sec-fetch-site") === "cross-site" : !isLoopback(origin.replace(/^https?:\/\//, ""));
  return foreign ? forbidden(`pages of ${origin?.slice(0, 100) ?? "another site"} may not write here`) : undefined;
}

/** Whether a host, with or without port, is this machine by every resolver: localhost, names below it, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  return /^(?:(?:[a-z0-9-]+\.)*localhost\.?|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i.test(host);
}

function forbidden(reason: string): ConvergentError {
  return new ConvergentError("forbidden", reason);
}
