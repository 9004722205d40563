/** How expectations are judged: one after the other, each an error of its own that points to the line where it was said. */
import { isConvergentError } from "../errors/error.ts";

/** What went otherwise than wanted, and the error behind it, if there is one. */
export interface Problem {
  readonly message: string;
  readonly cause?: unknown;
}

/**
 * Says whether what `seen` gives is wanted, after everything `before`. The promise rejects with a plain `Error` whose stack is the
 * caller's.
 */
export function judged<Seen>(
  before: Promise<unknown> | undefined,
  seen: () => Promise<Seen>,
  judge: (seen: Seen) => Problem | undefined | Promise<Problem | undefined>,
): Promise<Seen> {
  const said = new Error("said here");
  const work = async (): Promise<Seen> => {
    await before;
    let problem: Problem | undefined;
    try {
      const value = await seen();
      problem = await judge(value);
      if (!problem) return value;
    } catch (error) {
      problem = { message: textOf(error), cause: error };
    }
    throw pointing(said, problem);
  };
  return work();
}

function pointing({ stack = "" }: Error, { message, cause }: Problem): Error {
  const error = new Error(message, cause === undefined ? {} : { cause });
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  error.stack = [`Error: ${message}`, ...frames].join("\n");
  return error;
}

/** An error as a person reads it: its code, or its class when that says something. */
export function named(error: unknown): string {
  if (isConvergentError(error)) return `${error.code}: ${error.message}`;
  if (!(error instanceof Error)) return String(error);
  return error.name === "Error" ? error.message : `${error.name}: ${error.message}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether a text is what was wanted of it. */
export function fits(text: string, wanted: string | RegExp): boolean {
  return typeof wanted === "string" ? text === wanted : wanted.test(text);
}
