/**
 * Failures as the gateway reports them (RFC 9457), and as errors of this toolkit. A code that this release does not
 * know becomes the nearest one it knows, by status and by whether a retry may help; `details.code` keeps the original.
 */
import { catalogue, type ErrorCode } from "../errors/catalogue.ts";
import { ConvergentError } from "../errors/error.ts";

/** A failure as it was answered. */
export interface Problem {
  readonly status: number;
  /** As the server wrote it; absent when the answer came from something that is no gateway of this project. */
  readonly code: string | undefined;
  readonly retry: "never" | "later";
  readonly detail: string;
  /** Everything else the server said. */
  readonly details: Readonly<Record<string, unknown>>;
}

const standardMembers: ReadonlySet<string> = new Set(["type", "title", "status", "detail", "instance", "code", "retry"]);

/** Reads the body of an answer that is no success; HTML and the like become a problem without a code. */
export function readProblem(status: number, body: string): Problem {
  const parsed = parseObject(body);
  const code = parsed?.["code"];
  if (!parsed || typeof code !== "string") {
    return { status, code: undefined, retry: status >= 500 ? "later" : "never", detail: `HTTP ${status}${excerpt(body)}`, details: {} };
  }
  const retry = parsed["retry"];
  const detail = parsed["detail"] ?? parsed["title"];
  return {
    status,
    code,
    retry: retry === "later" || retry === "never" ? retry : defaultRetry(code, status),
    detail: typeof detail === "string" ? detail : code,
    details: Object.fromEntries(Object.entries(parsed).filter(([name]) => !standardMembers.has(name))),
  };
}

/** The object that `text` holds as JSON; `undefined` for anything else. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The error for a problem; `details` are added to the server's. */
export function problemError(problem: Problem, details: Readonly<Record<string, unknown>> = {}): ConvergentError {
  const code = knownCode(problem);
  const original = problem.code === code ? {} : { status: problem.status, ...(problem.code === undefined ? {} : { code: problem.code }) };
  return new ConvergentError(code, problem.detail, { details: { ...problem.details, ...original, ...details } });
}

// Representatives by status: what an application would do about the unknown code, it does about these.
const nearest: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_input",
  401: "forbidden",
  403: "forbidden",
  404: "not_found",
  405: "not_found",
  409: "rejected",
  410: "not_found",
  412: "version_conflict",
  413: "payload_too_large",
  422: "invalid_input",
};

function knownCode({ code, status, retry }: Problem): ErrorCode {
  if (code !== undefined && isKnown(code)) return code;
  if (retry === "later") return "unavailable";
  return nearest[status] ?? (status >= 500 ? "definition_invalid" : "invalid_input");
}

function defaultRetry(code: string, status: number): "never" | "later" {
  if (isKnown(code)) return catalogue[code].retry;
  return status >= 500 ? "later" : "never";
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(catalogue, code);
}

function excerpt(body: string): string {
  const text = body
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
  return text === "" ? "" : `: ${text.slice(0, 120)}`;
}
