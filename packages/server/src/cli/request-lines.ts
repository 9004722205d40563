/** Where `convergent start` logs its requests: lines for a person on a terminal, JSON for a collector elsewhere; on stderr, beside what the command itself says. */
import { type DestinationStream, type Level, type Logger, pino } from "pino";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A logger of that level; none for `silent`. */
export function requestLogger(level: LogLevel): Logger | false {
  if (level === "silent") return false;
  const options = { level: level satisfies Level, base: null };
  return process.stderr.isTTY
    ? pino(
        options,
        readable((text) => process.stderr.write(text)),
      )
    : pino(options, pino.destination({ fd: 2, sync: false }));
}

/** Turns pino's lines into ones that are read: time, what was asked, how it ended. */
export function readable(write: (text: string) => void): DestinationStream {
  return { write: (line) => write(`${sentence(JSON.parse(line) as Line)}\n`) };
}

interface Line {
  readonly time: number;
  readonly level: number;
  readonly msg: string;
  readonly method?: string;
  readonly route?: string;
  readonly status?: number;
  readonly ms?: number;
  readonly caller?: string;
  readonly trace?: string;
  readonly code?: string;
  readonly parts?: object;
  readonly err?: { readonly stack?: string };
}

function sentence({ time, level, msg, method, route, status, ms, caller, trace, code, parts, err, ...facts }: Line): string {
  const at = new Date(time).toTimeString().slice(0, 8);
  const mark = level >= 50 ? "! " : "";
  const told =
    msg === "request"
      ? [method, route, status, `${ms} ms`, code, caller && `by ${caller}`, trace, parts && JSON.stringify(parts)]
      : [msg, ...Object.entries(facts).map(([name, value]) => `${name} ${JSON.stringify(value)}`), err?.stack && `\n${err.stack}`];
  return `${at} ${mark}${told
    .filter((word) => word !== undefined)
    .map(String)
    .join(" ")}`;
}
