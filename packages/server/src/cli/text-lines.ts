/**
 * The lines of a file, which may be gzipped, one after another with flat memory. Only a line feed ends a line: Node's
 * readline also ends one at U+2028, which JSON may hold.
 */
import { createReadStream, existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { ConvergentError } from "convergent";

/** A longer line is refused: it would have to be held in memory whole. */
const lineCharactersMax = 64 * 1024 * 1024;

/** Throws `not_found`, `invalid_input`. */
export async function* linesOf(path: string): AsyncGenerator<string> {
  if (!existsSync(path)) throw new ConvergentError("not_found", `there is no file ${path}`);
  let rest = "";
  try {
    for await (const text of await textOf(path)) {
      // Looked for in what is new only: a long line that comes in many small parts is not searched again with each of them.
      const lines = text.split("\n");
      lines[0] = rest + (lines[0] as string);
      rest = lines.pop() as string;
      yield* lines;
      if (rest.length > lineCharactersMax) throw tooLong(path);
    }
  } catch (cause) {
    if (cause instanceof ConvergentError) throw cause;
    throw new ConvergentError("invalid_input", `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  if (rest !== "") yield rest;
}

async function textOf(path: string): Promise<AsyncIterable<string>> {
  const bytes = createReadStream(path, { highWaterMark: 1024 * 1024 });
  if (!(await isGzipped(path))) return bytes.setEncoding("utf8") as AsyncIterable<string>;
  const unzip = createGunzip();
  bytes.on("error", (error) => unzip.destroy(error));
  return bytes.pipe(unzip).setEncoding("utf8") as AsyncIterable<string>;
}

async function isGzipped(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

function tooLong(path: string): ConvergentError {
  return new ConvergentError("invalid_input", `${path} has a line of more than ${lineCharactersMax} characters; it is no export`);
}
