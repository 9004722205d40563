/**
 * Reads a JSON body that nobody vouches for: bounded in bytes before it is buffered and in depth before anything
 * recurses over it, valid UTF-8, and free of keys that reach into prototypes. An empty body is `{}` unless somebody says
 * otherwise, so that a command without input needs none; the schema then says what is missing.
 */
import { isUtf8 } from "node:buffer";
import { ConvergentError, isConvergentError } from "convergent";
import { invalidInput } from "./problem.ts";

/** Bytes of a request body. */
export const bodyBytesMax = 1_000_000;

/** Objects and lists inside one another. */
export const depthMax = 32;

/** Keys of one object, and characters of a key: as many as a person could have meant. */
export const keysMax = 1000;
export const keyLengthMax = 256;

/** Values altogether: a schema looks at each of them, and a megabyte holds half a million. */
export const valuesMax = 100_000;

interface Fault {
  readonly path: string;
  readonly reason: string;
}

/** The body's value, `empty` for one of no bytes. Throws `payload_too_large` and `invalid_input`. */
export async function readJson(request: Request, { empty }: { readonly empty?: unknown } = { empty: {} }): Promise<unknown> {
  const bytes = await readBytes(request).catch((error: unknown) => {
    if (isConvergentError(error)) throw error;
    // The sender went away, or broke the encoding: nobody will read this answer, and nothing failed here.
    throw invalidInput("the body broke off before its end", [{ path: "", reason: "incomplete" }]);
  });
  if (bytes.length === 0) return empty;
  if (!isUtf8(bytes)) throw notJson("it is not valid UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw notJson(error instanceof Error ? error.message : String(error));
  }
  const found = new Inspection().faultOf(value, 1);
  if (found) throw invalidInput(`the body is refused: ${found.path ? `${found.path}: ` : ""}${found.reason}`, [found]);
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

/** Walks a body once. Paths are put together on the way back from a fault only: a good body costs nothing but the walk. */
class Inspection {
  #values = 0;

  faultOf(value: unknown, depth: number): Fault | undefined {
    if (++this.#values > valuesMax) return fault(`more than ${valuesMax} values`);
    if (typeof value === "number") return Number.isFinite(value) ? undefined : fault("this number is too large");
    if (typeof value !== "object" || value === null) return undefined;
    if (depth > depthMax) return fault(`nested more than ${depthMax} deep`);
    const list = Array.isArray(value);
    const keys = Object.keys(value);
    if (!list && keys.length > keysMax) return fault(`an object of more than ${keysMax} keys`);
    for (const key of keys) {
      const part = (value as Record<string, unknown>)[key];
      const found = (list ? undefined : keyFault(key, part)) ?? this.faultOf(part, depth + 1);
      if (found) return { ...found, path: found.path === "" ? key.slice(0, keyLengthMax) : `${key}.${found.path}` };
    }
    return undefined;
  }
}

function keyFault(key: string, part: unknown): Fault | undefined {
  if (key.length > keyLengthMax) return fault(`a key of more than ${keyLengthMax} characters`);
  return reachesPrototype(key, part) ? fault("this key is not allowed") : undefined;
}

function fault(reason: string): Fault {
  return { path: "", reason };
}

// `constructor` alone is a word like any other; only together with `prototype` does it lead anywhere.
function reachesPrototype(key: string, part: unknown): boolean {
  if (key === "__proto__") return true;
  return key === "constructor" && typeof part === "object" && part !== null && Object.hasOwn(part, "prototype");
}
