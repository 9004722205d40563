/** `npm run replay -- FILE`: replays the process of a bank through a running server and checks what came of it. */
import { isConvergentError } from "convergent/client";
import { FileError } from "./file/event-file.ts";
import { parseOptions, usage, UsageError } from "./replay/options.ts";
import { replay } from "./replay/replay.ts";
import { ServerFailure } from "./replay/server-process.ts";

const interrupted = new Error("interrupted");

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === "help") {
    console.log(usage);
    return 0;
  }
  const abort = new AbortController();
  const stop = (): void => abort.abort(interrupted);
  process.on("SIGINT", stop).on("SIGTERM", stop);
  // Whoever read the output is gone.
  process.stdout.on("error", stop);
  const { checks } = await replay(options, process.stdout, abort.signal);
  return checks.every(({ holds }) => holds) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error === interrupted) console.error("\nStopped: the server is gone, and with it its temporary folder.");
  else if (error instanceof UsageError) console.error(`${error.message}\n\n${usage}`);
  else if (error instanceof FileError || error instanceof ServerFailure || isConvergentError(error)) console.error(`\n${error.message}`);
  else console.error(error);
  // Commands may still wait for a server that will not answer.
  process.exit(error === interrupted ? 130 : 1);
}
