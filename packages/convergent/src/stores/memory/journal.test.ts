import { expect, test } from "vitest";
import { ConvergentError } from "../../errors/error.ts";
import type { Disk } from "../../host/host.ts";
import { Journal } from "./journal.ts";
import { memoryDisk } from "./memory-disk.ts";
import type { RowChange } from "./table.ts";

const row = (key: string): RowChange[] => [{ table: "t", key, row: { key, text: "ü\n" } }];

async function reopened(disk: Disk): Promise<string[]> {
  const keys: string[] = [];
  await Journal.open(disk, "j", (changes) => keys.push(...changes.map((change) => change.key)));
  return keys;
}

async function written(disk: Disk, ...keys: string[]): Promise<Uint8Array> {
  const journal = await Journal.open(disk, "j", () => undefined);
  for (const key of keys) await journal.append(row(key));
  return (await disk.read("j")) as Uint8Array;
}

async function diskWith(bytes: Uint8Array): Promise<Disk> {
  const disk = memoryDisk();
  await (await disk.open("j")).append(bytes);
  return disk;
}

test("whatever a crash leaves of the last line, every line before it is there and the torn one is cut off", async () => {
  const bytes = await written(memoryDisk(), "a", "b");
  const whole = (await written(memoryDisk(), "a")).length;
  for (let size = whole; size < bytes.length; size++) {
    const disk = await diskWith(bytes.slice(0, size));
    expect(await reopened(disk)).toEqual(["a"]);
    await written(disk, "c");
    expect(await reopened(disk)).toEqual(["a", "c"]);
  }
});

test("a flipped bit in a line with whole lines behind it is damage, and is refused with its place", async () => {
  const bytes = await written(memoryDisk(), "a", "b", "c");
  for (const at of [21, 26, 41, 61]) {
    const damaged = bytes.slice();
    damaged[at] = (damaged[at] as number) ^ 1;
    await expect(reopened(await diskWith(damaged))).rejects.toMatchObject({
      code: "store_broken",
      message: expect.stringContaining("byte 21") as string,
    });
  }
});

test("after a full disk nothing of the failed write is kept, and the next one succeeds", async () => {
  const inner = memoryDisk();
  let full = false;
  const disk: Disk = {
    read: (path) => inner.read(path),
    replace: (path, bytes) => inner.replace(path, bytes),
    open: async (path) => {
      const file = await inner.open(path);
      return {
        ...file,
        append: async (bytes) => {
          if (!full) return file.append(bytes);
          await file.append(bytes.slice(0, 10)); // part of it was written before the disk was full
          throw new ConvergentError("disk_full", "full");
        },
      };
    },
  };
  const journal = await Journal.open(disk, "j", () => undefined);
  full = true;
  await expect(journal.append(row("a"))).rejects.toMatchObject({ code: "disk_full" });
  full = false;
  await journal.append(row("b"));
  expect(await reopened(inner)).toEqual(["b"]);
});

test("what an earlier process left unsynced is on the disk before anybody can rely on it", async () => {
  const inner = await diskWith(await written(memoryDisk(), "a", "b"));
  const order: string[] = [];
  const disk: Disk = {
    ...inner,
    open: async (path) => {
      const file = await inner.open(path);
      return {
        ...file,
        sync: async () => {
          order.push("synced");
          await file.sync();
        },
      };
    },
  };
  await Journal.open(disk, "j", () => undefined);
  expect(order).toEqual(["synced"]);
});

test("when the disk does not confirm, the outcome is unknown and nothing more is accepted until it is read again", async () => {
  const inner = memoryDisk();
  let broken = false;
  const disk: Disk = {
    read: (path) => inner.read(path),
    replace: (path, bytes) => inner.replace(path, bytes),
    open: async (path) => ({ ...(await inner.open(path)), sync: async () => (broken ? Promise.reject(new Error("EIO")) : undefined) }),
  };
  const journal = await Journal.open(disk, "j", () => undefined);
  broken = true;
  await expect(journal.append(row("a"))).rejects.toMatchObject({ code: "outcome_unknown" });
  await expect(journal.append(row("b"))).rejects.toMatchObject({ code: "unavailable" });
});

test("a file that is no journal, or one of a newer format, is refused and left as it is", async () => {
  for (const [text, code] of [
    ["something else", "store_broken"],
    ["convergent-journal 2\n", "store_newer"],
  ] as const) {
    const disk = await diskWith(new TextEncoder().encode(text));
    await expect(reopened(disk)).rejects.toMatchObject({ code });
    expect(new TextDecoder().decode(await disk.read("j"))).toBe(text);
  }
  expect(await reopened(await diskWith(new TextEncoder().encode("convergent-jo")))).toEqual([]); // torn at its creation
});
