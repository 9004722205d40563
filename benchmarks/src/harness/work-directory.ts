// The directory a bench works in: on a real disk, because an fsync on tmpfs costs nothing and would measure nothing.
import { constants, copyFileSync, fsyncSync, mkdirSync, mkdtempSync, openSync, closeSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesystemOf } from "./machine.ts";

const inMemory = new Set(["tmpfs", "ramfs"]);

export class WorkDirectory {
  readonly path: string;

  constructor() {
    const besides = join(import.meta.dirname, "..", "..", "node_modules", ".bench");
    const base = inMemory.has(filesystemOf(tmpdir())) ? besides : tmpdir();
    mkdirSync(base, { recursive: true });
    this.path = mkdtempSync(join(base, "convergent-bench-"));
  }

  /** A fresh directory; with the files of `template` if that is given, and those on the disk already, so that no write-back runs into the sample. */
  fresh(name: string, template?: string): string {
    const directory = mkdtempSync(join(this.path, `${name.replaceAll(/[^a-z0-9]+/gi, "-")}-`));
    for (const file of template === undefined ? [] : readdirSync(template)) {
      const copy = join(directory, file);
      copyFileSync(join(template ?? "", file), copy, constants.COPYFILE_FICLONE);
      const descriptor = openSync(copy, "r+");
      fsyncSync(descriptor);
      closeSync(descriptor);
    }
    return directory;
  }

  drop(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
  }

  close(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
