/** The module that `convergent start` is given. What Node finds wrong with its text or its imports is told in a sentence, not by a stack. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ConvergentError } from "convergent";

/**
 * Imports a module. Throws `not_found` without such a file, `definition_invalid` when it or what it imports cannot be loaded;
 * what its own code throws is thrown as it is.
 */
export async function loadModule(module: string): Promise<Readonly<Record<string, unknown>>> {
  const path = resolve(module);
  if (!existsSync(path)) throw new ConvergentError("not_found", `there is no file ${path}; name the module that exports your services`);
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const reason = error instanceof Error ? sentenceOf(error) : undefined;
    if (reason === undefined) throw error;
    throw new ConvergentError("definition_invalid", `${module} cannot be loaded: ${reason}`, { cause: error });
  }
}

function sentenceOf(error: Error): string | undefined {
  const { code, url } = error as { readonly code?: unknown; readonly url?: unknown };
  if (code === "ERR_MODULE_NOT_FOUND" || code === "ERR_UNSUPPORTED_DIR_IMPORT")
    return `${lowerFirst(error.message)}; ${wayToImport(typeof url === "string" ? url : undefined)}`;
  if (!(error instanceof SyntaxError)) return undefined;
  const at = placeOf(error);
  // Thrown by code of the module's own, JSON.parse for example: its stack is what helps.
  if (at === undefined) return undefined;
  return `${at}: ${lowerFirst(error.message)}${wayToWrite(code, error.message)}`;
}

function wayToImport(url: string | undefined): string {
  if (url === undefined) return "install the package, or correct its name";
  const missing = fileURLToPath(url);
  const stem = missing.replace(/\.[cm]?js$/, "");
  const found = [`${stem}.ts`, `${stem}.mts`, `${stem}.js`, `${stem}/index.ts`].find((candidate) => existsSync(candidate));
  const hint = "imports name the file with its extension, as in ./order.ts";
  return found === undefined ? hint : `${hint}: there is ${found}`;
}

function wayToWrite(code: unknown, message: string): string {
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX")
    return ". Node only takes types away: write a union or a const object for an enum, and a module for a namespace";
  if (message.includes("does not provide an export")) return "; correct the name, or write `import type` if it is a type";
  return "";
}

/** Node writes the place of a mistake in the text, which no code has run of, above the stack. */
function placeOf({ stack = "" }: Error): string | undefined {
  const [, url, line] = /^(file:\/\/\S+):(\d+)\n/.exec(stack) ?? [];
  return url === undefined ? undefined : `${fileURLToPath(url)}, line ${line}`;
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) && !text.startsWith("TypeScript") ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text;
}
