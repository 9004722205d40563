// Files and directories that cannot be a store: each is refused with its code, its name and the way out, and stays as it was.
import { chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ConvergentError, Log } from "convergent";
import { describe, expect, test } from "vitest";
import { codeOf, written } from "./log-questions.ts";
import { startWriter } from "./start-writer.ts";
import { type FileKind, fileKinds, newPlace, openLog } from "./store-kinds.ts";

async function filledPlace(kind: FileKind): Promise<string> {
  const place = newPlace();
  const log = await openLog(kind, place);
  for (let count = 0; count < 100; count++) await log.append(written(`order/${count}`, "x".repeat(500)));
  await log.close();
  return place;
}

/** The failure to open the store at `place`; checks that it names the file. */
async function refusal(kind: FileKind, place: string, name: string = "orders"): Promise<string> {
  const error = await Log.open(kind.driver(place), name).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConvergentError)) throw new Error(`not refused in the catalogue's words: ${String(error)}`);
  expect(error.message).toContain(place);
  return error.code;
}

describe.each(fileKinds)("$name", (kind) => {
  test("a file of garbage is refused and left as it is", async () => {
    const place = newPlace();
    const garbage = Buffer.from("This is no store. ".repeat(1000));
    writeFileSync(kind.file(place), garbage);
    expect(await refusal(kind, place)).toBe("store_broken");
    expect(readFileSync(kind.file(place)).equals(garbage)).toBe(true);
  });

  test("a file that was overwritten in the middle is refused, when it is opened or when the damage is met", async () => {
    const place = await filledPlace(kind);
    const bytes = readFileSync(kind.file(place));
    bytes.fill("damage", Math.floor(bytes.length * 0.4), Math.floor(bytes.length * 0.6));
    writeFileSync(kind.file(place), bytes);
    const reading = openLog(kind, place).then((log) => log.read({ after: 0 as never, limit: 1000 }));
    expect(await codeOf(reading)).toBe("store_broken");
  });

  test("the store of another service is refused and still serves its own", async () => {
    const place = await filledPlace(kind);
    if (kind.name === "memory") writeFileSync(join(place, "payments.journal"), readFileSync(kind.file(place)));
    expect(await refusal(kind, place, "payments")).toBe("store_mismatch");
    expect((await (await openLog(kind, place)).head()).position).toBe(100);
  });

  test("a path that leads through a file is refused", async () => {
    const place = newPlace();
    writeFileSync(join(place, "file"), "");
    expect(await refusal(kind, join(place, "file", "deeper"))).toBe("store_unwritable");
  });

  test("a directory that is missing is made", async () => {
    const place = join(newPlace(), "a", "b");
    await (await openLog(kind, place)).append(written("order/1"));
    expect(existsSync(kind.file(place))).toBe(true);
    expect(existsSync(kind.file(place))).toBe(true);
  });

  test.each(["an empty directory", "a directory with a store", "a store's file"])("%s that may not be written is refused", async (what) => {
    const place = what === "an empty directory" ? newPlace() : await filledPlace(kind);
    if (what === "a store's file") {
      chmodSync(kind.file(place), 0o444);
      chmodSync(place, 0o777);
    } else {
      if (what === "a directory with a store") chmodSync(kind.file(place), 0o666);
      chmodSync(place, 0o555);
    }
    const writer = startWriter({ kind: kind.name, place, load: { name: "a", writers: 1, turns: 1 }, powerless: true });
    expect(await writer.ended).toEqual({ code: 0, signal: null, complaint: "" });
    expect(writer.failed).toEqual([{ code: "store_unwritable", message: expect.stringContaining(place) as string }]);
    chmodSync(place, 0o755);
  });
});

describe("sqlite, further", () => {
  const kind = fileKinds.find(({ name }) => name === "sqlite") as FileKind;

  test("a file that was cut off is refused", async () => {
    const place = await filledPlace(kind);
    const size = readFileSync(kind.file(place)).length;
    for (const kept of [Math.floor(size / 2), 5000, 600, 90]) {
      truncateSync(kind.file(place), kept);
      expect(await refusal(kind, place)).toBe("store_broken");
    }
  });

  test("a database of something else is refused, and neither its tables nor its journal mode change", async () => {
    const place = newPlace();
    const database = new DatabaseSync(kind.file(place));
    database.exec("CREATE TABLE users (name TEXT)");
    database.close();
    const before = readFileSync(kind.file(place));
    expect(await refusal(kind, place)).toBe("store_broken");
    expect(readFileSync(kind.file(place)).equals(before)).toBe(true);
  });

  test("a store of a newer release is refused and left as it is", async () => {
    const place = await filledPlace(kind);
    const database = new DatabaseSync(kind.file(place));
    database.exec("UPDATE convergent_store SET schema_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
    database.close();
    const before = readFileSync(kind.file(place));
    expect(await refusal(kind, place)).toBe("store_newer");
    expect(readFileSync(kind.file(place)).equals(before)).toBe(true);
  });

  test("a directory in the place of the file is refused", async () => {
    const place = newPlace();
    mkdirSync(kind.file(place));
    expect(await refusal(kind, place)).toBe("store_unwritable");
  });

  test("a store without its epochs is refused", async () => {
    const place = await filledPlace(kind);
    const database = new DatabaseSync(kind.file(place));
    database.exec("DELETE FROM convergent_epochs");
    database.close();
    expect(await refusal(kind, place)).toBe("store_broken");
  });
});
