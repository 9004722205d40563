/**
 * The file of a bank's process: one JSON object a line, plain or gzipped, read as a stream. Every line is checked as it
 * passes; what cannot be read ends with an error that names the file and the line.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { z } from "zod";

const Line = z
  .object({
    application: z.string().min(1),
    activity: z.string().regex(/^[AOW]_./, "an activity begins with A_, O_ or W_"),
    lifecycle: z.enum(["SCHEDULE", "START", "COMPLETE"]),
    resource: z.string().min(1).nullable(),
    at: z.iso.datetime({ offset: true }),
    amount: z.number().nonnegative().optional(),
  })
  .refine((line) => line.activity.startsWith("W_") || line.lifecycle === "COMPLETE", "only a work item is scheduled or started");

/** One line: something that happened to an application. */
export type EventLine = z.output<typeof Line> & {
  /** Its place in the file, from 1 on. */
  readonly number: number;
};

/** A file that cannot be read as what it should be; the message is for the person who named it. */
export class FileError extends Error {
  override readonly name = "FileError";
}

/** A line longer than this is no line of such a file: it may be the whole of some other one. */
const lineCharactersMax = 1 << 20;

export interface ReadOptions {
  /** Only so many lines. */
  readonly limit?: number;
}

/** The lines of a file in order. Throws `FileError`. */
export async function* eventLines(path: string, options: ReadOptions = {}): AsyncGenerator<EventLine> {
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  let number = 0;
  for await (const texts of textLines(path)) {
    for (const text of texts) {
      number += 1;
      if (number > limit) return;
      yield parse(text, number, path);
    }
  }
  if (number === 0) throw new FileError(`${path} is empty`);
}

function parse(text: string, number: number, path: string): EventLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FileError(`${path}, line ${number} is no JSON: ${excerpt(text)}`);
  }
  const parsed = Line.safeParse(value);
  if (parsed.success) return { ...parsed.data, number };
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  throw new FileError(`${path}, line ${number} is no event: ${where ? `${where}: ` : ""}${issue?.message ?? "unknown"}: ${excerpt(text)}`);
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}

/** Texts between line ends, as many at a time as a chunk of the file holds: a turn of the event loop for each line costs more than the line. */
async function* textLines(path: string): AsyncGenerator<readonly string[]> {
  let rest = "";
  let read = 0;
  for await (const chunk of decoded(path)) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    read += lines.length;
    if (rest.length > lineCharactersMax) throw new FileError(`${path}, line ${read + 1} is longer than ${lineCharactersMax} characters`);
    yield lines;
  }
  if (rest !== "") yield [rest];
}

async function* decoded(path: string): AsyncGenerator<string> {
  const gzipped = await isGzip(path);
  const file = createReadStream(path);
  const bytes: Readable = gzipped ? file.pipe(createGunzip()) : file;
  file.on("error", (error) => bytes.destroy(error));
  bytes.setEncoding("utf8");
  try {
    for await (const text of bytes) yield text as string;
  } catch (error) {
    throw new FileError(`${path} cannot be read to its end: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    file.destroy();
  }
}

async function isGzip(path: string): Promise<boolean> {
  const start = Buffer.alloc(2);
  try {
    const file = await open(path);
    try {
      await file.read(start, 0, 2, 0);
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") throw new FileError(`there is no file ${path}`, { cause: error });
    if (code === "EISDIR") throw new FileError(`${path} is a folder; name the file in it`, { cause: error });
    throw new FileError(`${path} cannot be opened: ${code ?? String(error)}`, { cause: error });
  }
  const gzipped = start[0] === 0x1f && start[1] === 0x8b;
  if (!gzipped && path.endsWith(".gz")) throw new FileError(`${basename(path)} ends in .gz and is not gzipped`);
  return gzipped;
}
