/**
 * Who asks. A gateway that authenticates asks one function about each request; what it answers is the caller that
 * policies judge, that rates are counted for, and that events name as their actor. Nobody is believed by default.
 */
import { ConvergentError } from "convergent";

/** Where a request comes from; a socket of Node says it. */
export interface Sender {
  readonly remoteAddress?: string | undefined;
}

/** Somebody whose identity was proved. */
export interface Caller {
  /** 1 to 255 characters, the same for the same caller for ever: events name it, and idempotency keys belong to it. */
  readonly subject: string;
  /** What was said of the caller by whoever vouches for it. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly scopes: ReadonlySet<string>;
}

/**
 * Proves who asks, or answers `undefined` (401). It must not read the body. What it throws is answered with 500 and
 * lets nobody in, apart from errors of the catalogue (`unauthenticated`, `unavailable`), which are answered as they are.
 *
 * `jwt(…)` makes one for bearer tokens; one of your own may look at whatever the request carries:
 *
 *     authenticate: async (request) => {
 *       const session = await sessions.find(request.headers.get("x-session") ?? "");
 *       return session && { subject: session.user, claims: {}, scopes: new Set(session.rights) };
 *     }
 */
export type Authenticate = (request: Request) => Caller | undefined | Promise<Caller | undefined>;

/** One word on why credentials were not accepted. More would help who forges them. */
export type Doubt =
  | "missing"
  | "malformed"
  | "algorithm"
  | "signature"
  | "expired"
  | "early"
  | "issuer"
  | "audience"
  | "claims"
  | "unknown";

/** The failure of a request whose sender is not known. */
export function unauthenticated(reason: Doubt): ConvergentError {
  const message =
    reason === "missing" ? "this address wants credentials, and the request has none" : `the credentials were not accepted: ${reason}`;
  return new ConvergentError("unauthenticated", message, { details: { reason } });
}

/** The challenge that goes with a 401 (RFC 6750): what kind of credentials is wanted and, if some were sent, what was wrong. */
export function challengeOf(error: ConvergentError): string {
  const { reason } = error.details;
  return reason === "missing" || typeof reason !== "string" ? "Bearer" : `Bearer error="invalid_token", error_description="${reason}"`;
}

/** The caller as proved. Throws `unauthenticated`; a function that answers with no usable caller is a mistake of its author. */
export async function callerOf(request: Request, authenticate: Authenticate): Promise<Caller> {
  const caller = await authenticate(request);
  if (caller === undefined) throw unauthenticated(request.headers.has("authorization") ? "unknown" : "missing");
  const { subject, scopes } = caller;
  if (typeof subject !== "string" || subject.length < 1 || subject.length > 255 || !subject.isWellFormed() || subject.includes("\u0000"))
    throw new TypeError("authenticate answered with a subject that is no well-formed text of 1 to 255 characters");
  if (typeof scopes?.has !== "function") throw new TypeError(`authenticate answered with scopes that are no Set`);
  return caller;
}
