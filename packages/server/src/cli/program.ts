/**
 * The commands and their options, and how their failures are told: code, sentence and way out on stderr. Exit code 0
 * is success, 1 a failure, 2 a command line that was not understood.
 */
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { type Duration, durationMs, isConvergentError } from "convergent";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { examples, hintAtOwnHelp } from "./examples.ts";
import { forget } from "./forget.ts";
import { lagArgument } from "./lag.ts";
import { addMaintenance } from "./maintenance.ts";
import { wholeNumber } from "./numbers.ts";
import { discardParked, listParked, replayParked } from "./parked.ts";
import { continueReading } from "./reader-continue.ts";
import { listReaders } from "./readers.ts";
import { logLevels } from "./request-lines.ts";
import { start } from "./start.ts";
import { storeHelp, withoutPasswords } from "./store-place.ts";
import { tail } from "./tail.ts";
import { addViewCommands } from "./view-commands.ts";
import { resetView } from "./view-reset.ts";

/** Runs a command line and sets the exit code of the process. */
export async function run(argv: readonly string[]): Promise<void> {
  // `convergent tail | head`: whoever reads may have seen enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  try {
    await program().parseAsync([...argv]);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
  }
}

function program(): Command {
  const root = new Command("convergent")
    .description("Services that are eventually consistent on purpose: run them, watch their logs and readers.")
    .version(ownVersion())
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 the command line was not understood.")
    .showHelpAfterError("(convergent --help lists the commands)")
    .enablePositionalOptions() // so that `view cancel --version` is not the version of the program
    .exitOverride();
  root
    .command("start")
    .description("runs the services that a module exports, each with a store of its own, and serves them over HTTP")
    .argument(
      "<module>",
      "file that exports services, one by one or as `services`; it may export `port`, and `gateway`: options of serve()",
    )
    .option("--data <dir>", "directory of the store files, <service>.db", "data")
    .option(
      "--store <url>",
      "instead of files: a PostgreSQL database, in which each service has the schema of its name; keys of persons lie in --data",
    )
    .option("--port <n>", "port on 127.0.0.1; 0 takes a free one (default: $PORT, the module's `port`, or 4000)", portNumber)
    .addOption(
      new Option("--log <level>", "requests on stderr: as lines on a terminal, as JSON elsewhere").choices(logLevels).default("info"),
    )
    .option("--drain-for <duration>", "how long to go on serving after SIGTERM while /readyz answers 503, for example 5s", duration, "0s")
    .option(
      "--lag <reader=range>",
      "for development: makes a reader late, by a random time of a range like 300ms..2s; may be repeated (also $CONVERGENT_LAG)",
      lagArgument,
    )
    .addHelpText(
      "after",
      examples(
        "convergent start orders.ts",
        "convergent start orders.ts --port 4001 --data /var/lib/orders --drain-for 5s",
        "convergent start orders.ts --store postgres://orders@db.internal/orders",
        "convergent start orders.ts --lag order-summary=300ms..2s",
      ),
    )
    .action(start);
  root
    .command("tail")
    .description("prints the newest events of a store; a running server is not disturbed")
    .requiredOption("--store <store>", storeHelp)
    .option("--follow", "go on with events as they are written, until Ctrl-C")
    .option("--after <position>", "every event after this position, instead of the newest ones", wholeNumber)
    .option("--lines <n>", "how many of the newest events", wholeNumber, 20)
    .option("--json", "one JSON object a line")
    .addHelpText(
      "after",
      examples("convergent tail --store data/orders.db --lines 5", "convergent tail --store data/orders.db --follow --json"),
    )
    .action(tail);
  root
    .command("readers")
    .description("shows how far each reader has come: of a running server by its address, or as stored")
    .option("--url <url>", "address of a gateway, for example http://localhost:4000")
    .option("--store <store>", storeHelp)
    .option("--json", "as JSON")
    .addHelpText("after", examples("convergent readers --url http://localhost:4000", "convergent readers --store data/orders.db"))
    .action(listReaders);
  readerCommands(root);
  root
    .command("forget")
    .description("forgets a person for ever: destroys the key of their sealed data, and says so in the log; a server may be running")
    .argument("<person>", "id of the person, as the events' definitions give it")
    .requiredOption("--store <store>", `${storeHelp}; the keys of a file lie beside it in <file>-keys`)
    .option("--keys <file>", "where the keys of a PostgreSQL store lie: what its service has as `keys`")
    .requiredOption("--reason <text>", "why; kept in the log")
    .option("--actor <name>", "who asks for it; kept in the log")
    .addHelpText("after", examples('convergent forget ada --store data/orders.db --reason "asked for it on 3 May"'))
    .option("--force", "also an id of which nothing was ever sealed here: it is refused from now on")
    .action(forget);
  addMaintenance(root);
  parkedCommands(root);
  hintAtOwnHelp(root);
  return root;
}

function readerCommands(root: Command): void {
  root
    .command("reader")
    .description("maintains readers")
    .command("continue")
    .description("lets a reaction go on after the log that it follows was restored: behind the last event that stayed")
    .argument("<name>", "name of the reaction, for example reserve-stock")
    .requiredOption("--store <store>", `${storeHelp}; no server may have it open`)
    .option("--source <store>", "the store of the log that it follows (default: beside the store, by its service's name as file or schema)")
    .option("--from <place>", "fork: behind what stayed; head: behind everything there is now; or behind a position", placeInLog, "fork")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      examples(
        "convergent reader continue reserve-stock --store data/inventory.db",
        "convergent reader continue reserve-stock --store data/inventory.db --source elsewhere/orders.db --from head",
      ),
    )
    .action(continueReading);
  const view = root.command("view").description("shows and maintains views and their versions");
  addViewCommands(view, wholeNumber);
  view
    .command("reset")
    .description("deletes a view's documents, definition and checkpoint, so that it is built again from the first event at the next start")
    .argument("<name>", "wire name of the view, for example order-summary")
    .requiredOption("--store <store>", `${storeHelp}; no server may have it open`)
    .option("--yes", "do not ask")
    .addHelpText("after", examples("convergent view reset order-summary --store data/orders.db"))
    .action(resetView);
}

function parkedCommands(root: Command): void {
  const parked = root.command("parked").description("events that readers could not apply, in a store; servers may have it open");
  parked
    .command("list")
    .description("shows the order keys that are set aside, each with its first event, its error and how many wait")
    .requiredOption("--store <store>", storeHelp)
    .option("--discarded", "those that were discarded, with reason, time and by whom")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      examples("convergent parked list --store data/orders.db", "convergent parked list --store data/orders.db --discarded"),
    )
    .action(listParked);
  parked
    .command("replay")
    .description("has events tried again now, in order")
    .argument("<reader>", "name of the reader")
    .argument("[key]", "order key; all keys of the reader without it")
    .requiredOption("--store <store>", storeHelp)
    .addHelpText(
      "after",
      examples(
        "convergent parked replay order-summary --store data/orders.db",
        "convergent parked replay order-summary o-1 --store data/orders.db",
      ),
    )
    .action(replayParked);
  parked
    .command("discard")
    .description("has the first event of an order key never applied, not by later versions of the reader either")
    .argument("<reader>", "name of the reader")
    .argument("<key>", "order key")
    .requiredOption("--store <store>", storeHelp)
    .requiredOption("--reason <text>", "why; it is kept for ever")
    .option("--all", "all events of the key that are set aside")
    .addHelpText("after", examples('convergent parked discard order-summary o-1 --store data/orders.db --reason "a test order"'))
    .action(discardParked);
}

function duration(text: string): Duration {
  try {
    durationMs(text as Duration);
    return text as Duration;
  } catch {
    throw new InvalidArgumentError("It is a time like 250ms, 5s or 1m.");
  }
}

function placeInLog(text: string): "fork" | "head" | number {
  return text === "fork" || text === "head" ? text : wholeNumber(text);
}

function portNumber(text: string): number {
  const port = wholeNumber(text);
  if (port <= 65_535) return port;
  throw new InvalidArgumentError("A port is a number from 0 to 65535.");
}

// The package's own file lies two folders up from the source and from what is built of it.
function ownVersion(): string {
  return (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;
}

function exitCodeOf(error: unknown): number {
  // Commander has told what was wrong; help and version are no failures.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (isConvergentError(error)) console.error(withoutPasswords(`convergent: ${error.message}\n(${error.code})`));
  else console.error(withoutPasswords(inspect(error)));
  return 1;
}
