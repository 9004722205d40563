/**
 * Reads a JSON body that nobody vouches for: bounded in bytes before it is buffered and in depth before anything
 * recurses over it, valid UTF-8, and free of keys that reach into prototypes. An empty body is `{}`, so that a command
 * without input needs none; the schema then says what is missing.
 */
import { isUtf8 } from "node:buffer";
import { ConvergentError } from "convergent";
import { invalidInput } from "./problem.ts";

/** Bytes of a request body. */
export const bodyBytesMax = 1_000_000;

/** Objects and lists inside one another. */
export const depthMax = 32;

interface Fault {
  readonly path: string;
  readonly reason: string;
}

/** The body's value. Throws `payload_too_large` and `invalid_input`. */
export async function readJson(request: Request): Promise<unknown> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return {};
  if (!isUtf8(bytes)) throw notJson("it is not valid UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw notJson(error instanceof Error ? error.message : String(error));
  }
  const fault = faultOf(value, 1);
  if (fault) throw invalidInput(`the body is refused: ${fault.path ? `${fault.path}: ` : ""}${fault.reason}`, [fault]);
  return value;
}

async function readBytes(request: Request): Promise<Buffer> {
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    // The HTTP parser holds the sender to the length it declared, so what fits is read in one go.
    if (Number(declared) > bodyBytesMax) throw tooLarge();
    return Buffer.from(await request.arrayBuffer());
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the stream: what lies beyond the limit is not read.
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > bodyBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function tooLarge(): ConvergentError {
  return new ConvergentError("payload_too_large", `a body has at most ${bodyBytesMax} bytes`, { details: { limit: bodyBytesMax } });
}

function notJson(reason: string): ConvergentError {
  return invalidInput(`the body is no JSON: ${reason}`, [{ path: "", reason: `no JSON: ${reason}` }]);
}

// Paths are put together on the way back from a fault only: a good body costs nothing but the walk.
function faultOf(value: unknown, depth: number): Fault | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : { path: "", reason: "this number is too large" };
  if (typeof value !== "object" || value === null) return undefined;
  if (depth > depthMax) return { path: "", reason: `nested more than ${depthMax} deep` };
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key];
    const fault = reachesPrototype(key, part) ? { path: "", reason: "this key is not allowed" } : faultOf(part, depth + 1);
    if (fault) return { ...fault, path: fault.path === "" ? key : `${key}.${fault.path}` };
  }
  return undefined;
}

// `constructor` alone is a word like any other; only together with `prototype` does it lead anywhere.
function reachesPrototype(key: string, part: unknown): boolean {
  if (key === "__proto__") return true;
  return key === "constructor" && typeof part === "object" && part !== null && Object.hasOwn(part, "prototype");
}
