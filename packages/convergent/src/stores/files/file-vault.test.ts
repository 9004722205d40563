import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { nodeHost } from "../../host-node/host.ts";
import { FileVault } from "./file-vault.ts";

function newPath(): string {
  const place = mkdtempSync(join(tmpdir(), "convergent-vault-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  return join(place, "store.db-keys");
}

function vault(path: string): FileVault {
  const opened = new FileVault(path, nodeHost().random);
  onTestFinished(() => opened.close());
  return opened;
}

test("a key is the same in every process and after a restart, and a person's pseudonym too", async () => {
  const path = newPath();
  const one = vault(path);
  const ada = one.pseudonym("ada");
  expect(ada).toMatch(/^[A-Za-z0-9_-]{22}$/);
  expect(one.pseudonym("bob")).not.toBe(ada);
  const key = await one.create(ada);
  expect(key).toHaveLength(32);
  const other = vault(path);
  expect(other.pseudonym("ada")).toBe(ada);
  expect(other.key(ada)).toEqual(key);
  expect(await other.create(ada)).toEqual(key);
});

test("two vaults of two stores give one person two pseudonyms", () => {
  expect(vault(newPath()).pseudonym("ada")).not.toBe(vault(newPath()).pseudonym("ada"));
});

test("a destroyed key is gone from the file, from other processes at once, and is never made again", async () => {
  const path = newPath();
  const one = vault(path);
  const other = vault(path);
  const ada = one.pseudonym("ada");
  const key = await one.create(ada);
  const bob = await one.create(one.pseudonym("bob"));
  expect(other.key(ada)).toEqual(key);
  const before = other.generation();
  expect(readFileSync(path).includes(Buffer.from(key))).toBe(true);
  await one.destroy(ada);
  expect(readFileSync(path).includes(Buffer.from(key))).toBe(false);
  expect(other.key(ada)).toBeUndefined();
  expect(other.generation()).not.toBe(before);
  expect(other.forgotten()).toEqual([ada]);
  expect(other.key(other.pseudonym("bob"))).toEqual(bob);
  for (const process of [one, other, vault(path)]) await expect(process.create(ada)).rejects.toMatchObject({ code: "person_forgotten" });
  await one.destroy(ada);
  expect(one.forgotten()).toEqual([ada]);
});

test("a person without a key is forgotten in advance", async () => {
  const path = newPath();
  const one = vault(path);
  const eve = one.pseudonym("eve");
  await one.destroy(eve);
  await expect(vault(path).create(eve)).rejects.toMatchObject({ code: "person_forgotten" });
});

test("nothing is asked of a file that is not there, and nothing made", () => {
  const path = newPath();
  const one = vault(path);
  expect([one.generation(), one.forgotten(), one.key("AAAAAAAAAAAAAAAAAAAAAA")]).toEqual(["", [], undefined]);
  expect(existsSync(path)).toBe(false);
});

test("a damaged file is refused by name", async () => {
  const path = newPath();
  const one = vault(path);
  await one.create(one.pseudonym("ada"));
  const whole = readFileSync(path);
  appendFileSync(path, "torn");
  expect(() => vault(path).forgotten()).toThrow(expect.objectContaining({ code: "store_broken" }));
  const changed = Buffer.from(whole);
  changed[100] = (changed[100] ?? 0) ^ 1;
  writeFileSync(path, changed);
  expect(() => vault(path).forgotten()).toThrow(expect.objectContaining({ code: "store_broken" }));
  writeFileSync(path, "something else entirely, and long enough to be a header of keys, really");
  expect(() => vault(path).pseudonym("ada")).toThrow(expect.objectContaining({ code: "store_broken" }));
});
