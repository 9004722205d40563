// The directory a bench works in: on a real disk, because an fsync on tmpfs costs nothing and would measure nothing.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
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
    if (template !== undefined) copyInto(template, directory);
    return directory;
  }

  drop(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
  }

  close(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Copies what lies in a folder, with its owners: a database server reads no data of others. */
function copyInto(from: string, to: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [original, copy] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(copy);
      copyInto(original, copy);
    } else {
      copyFileSync(original, copy, constants.COPYFILE_FICLONE);
      const descriptor = openSync(copy, "r+");
      fsyncSync(descriptor);
      closeSync(descriptor);
    }
    const { mode, uid, gid } = statSync(original);
    if (process.getuid?.() === 0) chownSync(copy, uid, gid);
    chmodSync(copy, mode);
  }
}
