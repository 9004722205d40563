/**
 * The server process of a replay: the service `loans` on its store, behind a gateway. `server.ts DIRECTORY PORT`, started
 * by fork, with the database in REPLAY_DATABASE if it is not a file; `next` behind them starts the next release instead. Says `{ url }` when it serves or `{ failure }` when it cannot, and stops when told to or when its parent goes.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { serve } from "@convergent/server";
import type { StoreDriver } from "convergent";
import { postgres } from "convergent/postgres";
import { sqlite } from "convergent/sqlite";
import { loans } from "./definitions/loans.ts";
import { loansNext } from "./definitions/next-release.ts";

/** What this process tells its parent. */
export type Message = { readonly url: string } | { readonly failure: string };

const [directory = "", port = "0", release] = process.argv.slice(2);

function say(message: Message): void {
  process.send?.(message);
}

function store(database: string | undefined): StoreDriver {
  if (database === undefined) return sqlite(join(directory, "loans.db"));
  const url = new URL(database);
  const schema = url.searchParams.get("schema") ?? "loans";
  url.searchParams.delete("schema");
  return postgres(url.href, { schema, directory });
}

async function start(): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const running = await (release === "next" ? loansNext : loans).start({ store: store(process.env["REPLAY_DATABASE"]) });
  const gateway = await serve({ services: [running], port: Number(port) });
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await gateway.close();
    await running.stop();
    process.exit(0);
  };
  // Ctrl-C reaches every process of the terminal; the parent decides what it means.
  process.on("SIGINT", () => undefined);
  process.on("message", () => void stop());
  process.on("disconnect", () => void stop());
  say({ url: gateway.url });
}

try {
  await start();
} catch (error) {
  say({ failure: error instanceof Error ? error.message : String(error) });
  process.disconnect();
  process.exitCode = 1;
}
