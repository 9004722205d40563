/**
 * One structured line for each request: method, route, status, time, caller, trace, error code. No payloads, no query,
 * no headers; ids of entities and keys of documents at level `debug` only. A library should not speak unasked: without
 * `log`, only what failed unexpectedly is told, on stderr.
 *
 * A line costs about 7 µs of CPU beside 25 for a read of a view without a socket; without a log nothing is measured or made.
 */
import { type Level, type Logger, pino } from "pino";
import { codeOf } from "./problem.ts";

/** A logger of the application's own, the level of a new one that writes JSON lines to stdout, or none. */
export type LogOption = Logger | Level | false;

/** A request and its answer, as far as they may be written down. */
export interface Answered {
  readonly request: Request;
  readonly response: Response;
  /** The route's pattern; absent where no route matched. */
  readonly route?: string;
  readonly probe?: boolean;
  /** Values of the pattern's parts. */
  readonly parts?: () => Readonly<Record<string, string>>;
  readonly subject?: string | undefined;
  readonly startedAt: number;
}

export class RequestLog {
  readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** The log that an option asks for. */
  static of(option: LogOption | undefined): RequestLog | undefined {
    if (option === undefined || option === false) return undefined;
    if (typeof option !== "string") return new RequestLog(option);
    return new RequestLog(pino({ level: option, base: null }, pino.destination({ sync: false, minLength: 4096, periodicFlush: 200 })));
  }

  answered({ request, response, route, probe, parts, subject, startedAt }: Answered): void {
    const level = levelOf(response.status, probe ?? false);
    const logger = this.logger;
    if (!logger.isLevelEnabled(level)) return;
    const trace = traceOf(request.headers.get("traceparent"));
    const code = codeOf(response);
    const line = {
      method: request.method,
      route: route ?? "none",
      status: response.status,
      ms: Math.round((performance.now() - startedAt) * 1000) / 1000,
      ...(subject === undefined ? {} : { caller: subject }),
      ...(trace === undefined ? {} : { trace }),
      ...(code === undefined ? {} : { code }),
      ...(parts && logger.isLevelEnabled("debug") ? { parts: parts() } : {}),
    };
    logger[level](line, "request");
  }

  /** A failure that nobody expected. Its message is the program's own and may name what it worked on. */
  failed(error: unknown, where: string): void {
    this.logger.error({ err: error, where }, "request failed");
  }

  /** A step of the server's life. */
  told(step: "listening" | "draining" | "closing" | "closed", facts: Readonly<Record<string, unknown>> = {}): void {
    this.logger.info(facts, step);
  }
}

function levelOf(status: number, probe: boolean): Level {
  if (probe) return "debug"; // every few seconds, from every machine that watches
  if (status >= 500) return "error";
  return status === 401 || status === 403 || status === 429 ? "warn" : "info";
}

function traceOf(header: string | null): string | undefined {
  return header === null ? undefined : /^[\da-f]{2}-([\da-f]{32})-/.exec(header)?.[1];
}
