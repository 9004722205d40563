/**
 * Failures as `application/problem+json` (RFC 9457): the code, the sentence, and the facts that a program may read.
 * What is no failure of ours becomes a 500 that tells the caller nothing and the operator everything, once.
 */
import { catalogue, ConvergentError, type ErrorCode, isConvergentError, type wire } from "convergent";
import { challengeOf } from "./caller.ts";

export type HeaderRecord = Record<string, string>;

/** Told of failures that are nobody's expected outcome. */
export type OnError = (error: unknown, where: string) => void;

/** When to come back after a failure that passes by itself and whose duration nobody measured. */
const retryDefaultMs = 1000;

/** A JSON answer. Plain header records are what the Node adapter writes without building a `Headers` first. */
export function json(status: number, body: unknown, headers: HeaderRecord = {}): Response {
  headers["content-type"] ??= "application/json";
  return new Response(JSON.stringify(body), { status, headers });
}

/** `Retry-After` counts whole seconds and is rounded up, so that 0 never invites a caller to hammer; the exact time stands beside it. */
export function retryHeaders(ms: number): HeaderRecord {
  return { "retry-after": String(Math.max(1, Math.ceil(ms / 1000))), "retry-after-ms": String(Math.ceil(ms)) };
}

/** A failure of the catalogue as callers read it. */
export function problemBody(error: ConvergentError): wire.ProblemBody {
  const { status, summary, retry } = catalogue[error.code];
  return {
    ...error.details,
    type: `urn:convergent:error:${error.code}`,
    title: summary,
    status,
    detail: error.message,
    code: error.code,
    retry,
  };
}

/** What callers read of a failure that nobody expected. */
export const unexpected = {
  type: "about:blank",
  title: "Internal Server Error",
  status: 500,
  detail: "The server failed unexpectedly; its log says more. A write may have happened: retry it with the same Idempotency-Key.",
} as const;

/** The answer for a failure of the catalogue. */
export function problem(error: ConvergentError, headers: HeaderRecord = {}): Response {
  const { status, retry } = catalogue[error.code];
  const body = problemBody(error);
  // What is left of a body that was too large is not read, so nothing can follow it on this connection.
  const end = status === 413 ? { connection: "close" } : {};
  const wait = retry === "later" && headers["retry-after"] === undefined ? retryHeaders(retryMsOf(error)) : {};
  const challenge = status === 401 ? { "www-authenticate": challengeOf(error) } : {};
  const response = json(status, body, { ...wait, ...end, ...challenge, ...headers, "content-type": "application/problem+json" });
  codes.set(response, error.code);
  return response;
}

const codes = new WeakMap<Response, ErrorCode>();

/** The code of an answer that is a problem. */
export function codeOf(response: Response): ErrorCode | undefined {
  return codes.get(response);
}

function retryMsOf({ details }: ConvergentError): number {
  const { retryAfterMs } = details;
  return typeof retryAfterMs === "number" ? retryAfterMs : retryDefaultMs;
}

/** An answer that HTTP itself defines and the catalogue does not: without a code. */
export function plainProblem(status: number, title: string, detail: string, headers: HeaderRecord = {}): Response {
  return json(status, { type: "about:blank", title, status, detail }, { ...headers, "content-type": "application/problem+json" });
}

/** The answer for anything that was thrown. */
export function failure(error: unknown, where: string, onError: OnError): Response {
  if (isConvergentError(error)) return problem(error);
  onError(error, where);
  return plainProblem(500, unexpected.title, unexpected.detail);
}

/** The failure of an input: where and why, for each part of it. */
export function invalidInput(message: string, issues: ReadonlyArray<{ readonly path: string; readonly reason: string }>): ConvergentError {
  return new ConvergentError("invalid_input", message, { details: { issues } });
}
