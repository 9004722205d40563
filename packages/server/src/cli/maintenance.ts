/** The commands that look after stores: backup, restore, copy, export, import, archive, migrate, verify, replay-sagas. */
import { type Command, Option } from "commander";
import { archive } from "./archive.ts";
import { backUp } from "./backup.ts";
import { copy } from "./copy.ts";
import { examples } from "./examples.ts";
import { exportStore } from "./export.ts";
import { importStore } from "./import.ts";
import { wholeNumber } from "./numbers.ts";
import { migrate } from "./migrate.ts";
import { storeHelp } from "./store-place.ts";
import { replayStoredSagas } from "./replay-sagas.ts";
import { restore } from "./restore.ts";
import { verify } from "./verify.ts";

export function addMaintenance(root: Command): void {
  addCopies(root);
  addTransfer(root);
  addArchive(root);
  addReplay(root);
  root
    .command("migrate")
    .description("brings the tables of a store up to this release, as the next start of its service would")
    .requiredOption("--store <store>", storeHelp)
    .option("--dry-run", "only print the statements, for whoever looks after the database (PostgreSQL)")
    .addHelpText("after", examples("convergent migrate --store postgres://orders@db.internal/orders?schema=orders --dry-run"))
    .action(migrate);
  root
    .command("verify")
    .description("reads a whole store: positions and versions without gaps, digests that fit; or compares two stores")
    .requiredOption("--store <store>", `${storeHelp}; a running server is not disturbed`)
    .option("--against <store>", "another store, which should hold the same")
    .option("--json", "as JSON, with the digest of each range of positions")
    .addHelpText(
      "after",
      examples("convergent verify --store data/orders.db", "convergent verify --store data/orders.db --against copies/orders.db"),
    )
    .action(verify);
}

function addReplay(root: Command): void {
  root
    .command("replay-sagas")
    .description("runs the sagas of a store against the code of a module, without effects, and names the first step of each that differs")
    .requiredOption("--store <store>", `${storeHelp}; a running server is not disturbed`)
    .requiredOption("--services <module>", "file that exports the service, as it is to run next")
    .option("--keys <file>", "where the keys of persons of a PostgreSQL store lie: what its service has as `keys`")
    .option("--saga <name>", "sagas of this name only")
    .option("--id <id>", "the saga with this id only")
    .option("--running-only", "only those that have not ended, or are parked")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      examples(
        "convergent replay-sagas --store data/orders.db --services orders.ts",
        "convergent replay-sagas --store data/orders.db --services orders.ts --saga amend-order --running-only",
      ),
    )
    .action(replayStoredSagas);
}

function addArchive(root: Command): void {
  root
    .command("archive")
    .description("moves the events of streams that have ended to a second file beside the store; every read finds them as before")
    .requiredOption("--store <store>", `${storeHelp}; a running server is not disturbed`)
    .option("--entity <name>", "streams of this entity")
    .option("--ended-by <types>", "of them those whose last event is of one of these types, with commas between them")
    .option(
      "--services <module>",
      "instead: those in whose state an entity's own ended says so, of all entities that declare it; the module exports the service",
    )
    .option("--ended-before <age>", "and whose last event lies at least so long back", "90d")
    .option("--streams-from <file>", "instead: the streams named in a file, one entity/id a line")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      examples(
        "convergent archive --store data/orders.db --entity order --ended-by order.shipped,order.cancelled --ended-before 90d",
        "convergent archive --store data/orders.db --services orders.ts",
        "convergent archive --store data/orders.db --streams-from ended.txt",
      ),
    )
    .action(archive);
}

function addCopies(root: Command): void {
  root
    .command("backup")
    .description("copies a store as it is at one moment, while its server goes on, and verifies the copy")
    .requiredOption("--store <file>", "the store file")
    .requiredOption("--to <file>", "the copy; it is there whole or not at all")
    .option("--force", "replace the file if it exists")
    .option("--json", "as JSON")
    .addHelpText("after", examples("convergent backup --store data/orders.db --to backups/orders-monday.db"))
    .action(backUp);
  root
    .command("restore")
    .description("puts a backup in place of a store and begins a new epoch, so that what is lost is told apart")
    .requiredOption("--from <file>", "the backup; it stays as it is")
    .requiredOption("--to <file>", "the store file; no server may have it open")
    .option("--force", "replace the store if it exists")
    .option("--json", "as JSON")
    .addHelpText("after", examples("convergent restore --from backups/orders-monday.db --to data/orders.db --force"))
    .action(restore);
}

function addTransfer(root: Command): void {
  root
    .command("copy")
    .description("copies a store into another one, of whatever kind, and compares both; run again, it goes on where it stopped")
    .requiredOption("--from <store>", `${storeHelp}; a running server is not disturbed`)
    .requiredOption("--to <store>", "where the copy is made; nothing is there, or an earlier run's unfinished copy")
    .option("--switch", "in the end the old store refuses writes, so that nothing is acknowledged there that the new one lacks")
    .option("--cancel", "takes back a --switch that was not finished: the old store takes writes again")
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      examples(
        "convergent copy --from data/orders.db --to 'postgres://orders@db.internal/orders?schema=orders'",
        "convergent copy --from data/orders.db --to 'postgres://orders@db.internal/orders?schema=orders' --switch",
      ),
    )
    .action(copy);
  root
    .command("export")
    .description("writes a log as lines of JSON, one event a line, while its server goes on")
    .requiredOption("--store <store>", storeHelp)
    .option("--to <file>", "the file; - is stdout", "-")
    .addOption(new Option("--format <format>", "plain lines or CloudEvents 1.0").choices(["jsonl", "cloudevents"]).default("jsonl"))
    .option("--after <position>", "only events after this position", wholeNumber)
    .option("--gzip", "compressed; a name that ends in .gz does the same")
    .option("--force", "replace the file if it exists")
    .addHelpText(
      "after",
      examples(
        "convergent export --store data/orders.db --to orders.jsonl.gz",
        "convergent export --store data/orders.db --format cloudevents | head",
      ),
    )
    .action(exportStore);
  root
    .command("import")
    .description("makes a store of an export; every line is checked, and nothing is there until all have passed")
    .requiredOption("--from <file>", "the export, gzipped or not, in either format")
    .requiredOption("--store <file>", "a new store file; one that ends in .journal is a memory store's")
    .option("--json", "as JSON")
    .addHelpText("after", examples("convergent import --from orders.jsonl.gz --store data/orders.db"))
    .action(importStore);
}
