import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeDisk } from "./disk.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "convergent-disk-"));
});
afterEach(async () => rm(directory, { recursive: true, force: true }));

test("a file is read back as it was appended, and cut where it was truncated", async () => {
  const path = join(directory, "deep", "journal");
  expect(await nodeDisk.read(path)).toBeUndefined();
  const file = await nodeDisk.open(path);
  await file.append(Buffer.from("abc"));
  await file.sync();
  await file.truncate(2);
  await file.append(Buffer.from("d"));
  expect(String(await readFile(path))).toBe("abd");
  await file.close();
});

test("a second opener is refused while the first one lives, and let in when it closed or died", async () => {
  const path = join(directory, "journal");
  const file = await nodeDisk.open(path);
  await expect(nodeDisk.open(path)).rejects.toMatchObject({ code: "store_unwritable" });
  await file.close();
  await (await nodeDisk.open(path)).close();
  await writeFile(`${path}.lock`, String(process.ppid)); // a process that lives
  await expect(nodeDisk.open(path)).rejects.toMatchObject({ code: "store_unwritable", details: { pid: process.ppid } });
  const gone = spawnSync(process.execPath, ["-e", "0"]).pid;
  await writeFile(`${path}.lock`, String(gone));
  await (await nodeDisk.open(path)).close();
});

test("a path that cannot be made is refused with its name", async () => {
  await writeFile(join(directory, "file"), "");
  await expect(nodeDisk.open(join(directory, "file", "journal"))).rejects.toMatchObject({ code: "store_unwritable" });
});
