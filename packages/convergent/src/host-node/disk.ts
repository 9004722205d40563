/**
 * Append-only files on the real disk, one opener at a time: a lock file beside each names the process, and a lock whose
 * process is gone (kill -9) is taken over. A new file's directory entry is synced
 * too, or a crash could lose the file whole.
 */
import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
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
      const unlock = await lock(path);
      try {
        const file = await open(path, "a");
        await syncDirectory(dirname(path));
        return fileOf(file, path, unlock);
      } catch (cause) {
        await unlock();
        throw cause;
      }
    } catch (cause) {
      if (cause instanceof ConvergentError) throw cause;
      throw unwritable(path, cause);
    }
  },
  replace: async (path, bytes) => {
    const made = `${path}.${process.pid}.new`;
    try {
      await writeFile(made, bytes);
      await rename(made, path);
    } catch (cause) {
      await rm(made, { force: true });
      throw unwritable(path, cause);
    }
  },
};

function fileOf(file: Awaited<ReturnType<typeof open>>, path: string, unlock: () => Promise<void>): DiskFile {
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
    close: async () => {
      await file.close();
      await unlock();
    },
  };
}

/** Files this process has open, so that its own id in a lock of theirs means a second opener and not an earlier life. */
const held = new Set<string>();

/** Takes the lock of a file; returns how to give it back. Throws `store_unwritable` while its holder lives. */
async function lock(path: string): Promise<() => Promise<void>> {
  const name = `${resolve(path)}.lock`;
  for (let attempt = 1; ; attempt++) {
    try {
      if (held.has(name)) throw inUse(path, process.pid);
      await writeFile(name, String(process.pid), { flag: "wx" });
      held.add(name);
      return async () => {
        held.delete(name);
        await rm(name, { force: true });
      };
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST" || attempt > 3) throw cause;
      const holder = Number(await readFile(name, "utf8"));
      if (holder !== process.pid && isAlive(holder)) throw inUse(path, holder);
      await rm(name, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return codeOf(cause) === "EPERM";
  }
}

function inUse(path: string, pid: number): ConvergentError {
  return new ConvergentError(
    "store_unwritable",
    `${path} is open in process ${pid}, and this kind of store serves one process at a time; stop that one, or use sqlite(). If no such process has it, delete ${path}.lock`,
    { details: { path, pid } },
  );
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
