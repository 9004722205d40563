/**
 * Which web pages of other origins may ask, and read the answers. By default none: the gateway then says nothing about
 * it, and browsers keep its answers from them. Origins are compared as they are; there is no wildcard.
 */
import { ConvergentError, wire } from "convergent";

/** Which pages of other origins may ask, and what they may send. */
export interface CorsOptions {
  /** For example `["https://shop.example.com"]`: scheme, host and, unless it is the scheme's own, port. */
  readonly origins: readonly string[];
}

/** What pages may send, and what they may read besides the body. */
const allowHeaders = [
  "authorization",
  "content-type",
  wire.headers.idempotencyKey,
  wire.headers.token,
  wire.headers.ifMatch,
  wire.headers.ifNoneMatch,
  wire.headers.prefer,
  wire.headers.cacheControl,
  wire.headers.trace,
  wire.headers.actor,
].join(", ");
const exposeHeaders = [
  wire.headers.etag,
  wire.headers.token,
  wire.headers.retryAfter,
  wire.headers.retryAfterMs,
  wire.headers.preferenceApplied,
  "location",
  "www-authenticate",
].join(", ");

/** Browsers ask again after this time. */
const preflightSeconds = 600;

export class Cors {
  readonly #origins: ReadonlySet<string>;

  /** Throws `definition_invalid` for what no browser sends as an origin. */
  constructor({ origins }: CorsOptions) {
    for (const origin of origins)
      if (!URL.canParse(origin) || new URL(origin).origin !== origin || !/^https?:[^*]+$/.test(origin))
        throw new ConvergentError(
          "definition_invalid",
          `cors: "${origin}" is no origin; write it like https://shop.example.com, without a path`,
        );
    this.#origins = new Set(origins);
  }

  allows(origin: string | null): boolean {
    return origin !== null && this.#origins.has(origin);
  }

  /** The answer to a browser that asks before it sends; `undefined` when it does not, or may not. */
  preflight({ method, headers }: Request): Response | undefined {
    const origin = headers.get("origin");
    if (method !== "OPTIONS" || !headers.has("access-control-request-method") || !this.allows(origin)) return undefined;
    return new Response(null, {
      status: 204,
      headers: {
        "access-control-allow-methods": "GET, HEAD, POST, PATCH",
        "access-control-allow-headers": allowHeaders,
        "access-control-max-age": String(preflightSeconds),
      },
    });
  }

  /** An answer as its page may read it. Caches are told that it depends on who asks, also where nothing is allowed. */
  label(request: Request, response: Response): Response {
    const origin = request.headers.get("origin");
    const headers = new Headers(response.headers); // those of a fallback's redirect cannot be changed
    headers.append("vary", "Origin");
    if (this.allows(origin)) {
      headers.set("access-control-allow-origin", origin as string);
      headers.set("access-control-expose-headers", exposeHeaders);
    }
    return new Response(response.body, { status: response.status, headers });
  }
}
