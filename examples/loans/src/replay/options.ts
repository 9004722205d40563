/** What `npm run replay` understands. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

export interface ReplayOptions {
  readonly file: string;
  readonly crashes: number;
  readonly seed: number;
  /** Restart the server half way with a release in which a view is defined otherwise. */
  readonly changeDefinition: boolean;
  readonly concurrency: number;
  /** Only so many lines. */
  readonly limit: number | undefined;
  /** Where the log lies: a file, or a PostgreSQL database, by its URL with `?schema=`. */
  readonly store: "sqlite" | { readonly postgres: string };
  /** Servers on that store. */
  readonly processes: number;
  /** Where the server keeps its data; a temporary folder without it. */
  readonly data: string | undefined;
  readonly keep: boolean;
}

export const usage = `npm run replay -- FILE [options]

Replays the process of a bank (one JSON object a line, plain or gzipped) through a running server, and checks what came
of it against numbers computed from the file by other means. Exit code 0 when every check holds, 1 otherwise.

  --crash N        kill the server N times with SIGKILL on the way (default 0)
  --change-definition
                   half way, restart the server with a release in which a view has a new version, and read documents
                   behind their writes all along
  --seed N         of the moments at which it is killed (default: a new one each time, printed)
  --store STORE    sqlite (default); postgres, for which npm run replay starts a server, or makes a schema at DATABASE_URL for the
                   time it takes; or postgres://…?schema=NAME, which is kept
  --processes N    servers on that store (default 1); lines go to each in turn, and --crash kills one after the other
  --concurrency N  applications at a time (default 64)
  --limit N        only the first N lines
  --data DIR       where the server keeps its data (default: a temporary folder, removed at the end)
  --keep           keep the temporary folder
  --help           this text`;

/** A command line that cannot be followed. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The options of a command line; `"help"` when it asks for that. Throws `UsageError`. */
export function parseOptions(args: readonly string[]): ReplayOptions | "help" {
  const { values, positionals } = parsed(args);
  if (values.help) return "help";
  const [file, ...others] = positionals;
  if (file === undefined) throw new UsageError("which file? It is not part of this repository: name its path");
  if (others.length > 0) throw new UsageError(`one file at a time, not also ${others.join(", ")}`);
  return {
    file,
    crashes: whole("crash", values.crash, { least: 0, most: 1_000 }) ?? 0,
    seed: whole("seed", values.seed, { least: 0, most: 2 ** 32 - 1 }) ?? randomInt(2 ** 32),
    changeDefinition: values["change-definition"] ?? false,
    concurrency: whole("concurrency", values.concurrency, { least: 1, most: 1_000 }) ?? 64,
    limit: whole("limit", values.limit, { least: 1, most: Number.MAX_SAFE_INTEGER }),
    store: storeIn(values.store),
    processes: whole("processes", values.processes, { least: 1, most: 32 }) ?? 1,
    data: values.data,
    keep: values.keep ?? false,
  };
}

function storeIn(text: string = "sqlite"): ReplayOptions["store"] {
  const url = text.replace(/^postgres:(?=postgres(?:ql)?:\/\/)/, "");
  if (text === "sqlite") return text;
  if (/^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url)) return { postgres: url };
  throw new UsageError(
    "--store is sqlite, or by npm run replay postgres, or the URL of a database: postgres://user@host:5432/database?schema=loans",
  );
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        crash: { type: "string" },
        seed: { type: "string" },
        "change-definition": { type: "boolean" },
        concurrency: { type: "string" },
        limit: { type: "string" },
        store: { type: "string" },
        processes: { type: "string" },
        data: { type: "string" },
        keep: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function whole(name: string, text: string | undefined, { least, most }: { least: number; most: number }): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${name} is a whole number from ${least} to ${most}, not "${text}"`);
}
