/** Append-only files on the real disk. A new file's directory entry is synced too, or a crash could lose the file whole. */
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { ConvergentError } from "../errors/error.ts";
import type { Disk, DiskFile } from "../host/host.ts";

export const nodeDisk: Disk = {
  read: async (path) => {
    try {
      return await readFile(path);
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return undefined;
      throw unwritable(path, cause);
    }
  },
  open: async (path) => {
    try {
      await mkdir(dirname(path), { recursive: true });
      const file = await open(path, "a");
      await syncDirectory(dirname(path));
      return fileOf(file, path);
    } catch (cause) {
      throw unwritable(path, cause);
    }
  },
};

function fileOf(file: Awaited<ReturnType<typeof open>>, path: string): DiskFile {
  return {
    append: async (bytes) => {
      try {
        await file.appendFile(bytes);
      } catch (cause) {
        if (codeOf(cause) === "ENOSPC")
          throw new ConvergentError("disk_full", `the disk of ${path} is full; nothing of this write was kept. Free some space and retry`, {
            cause,
          });
        throw cause;
      }
    },
    sync: () => file.datasync(),
    truncate: (size) => file.truncate(size),
    close: () => file.close(),
  };
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}

function unwritable(path: string, cause: unknown): ConvergentError {
  return new ConvergentError(
    "store_unwritable",
    `${path} cannot be opened for writing (${codeOf(cause) ?? String(cause)}); check that its directory exists and belongs to you`,
    { cause },
  );
}
