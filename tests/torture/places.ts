/**
 * Where the store of a chapter lies: a folder of the machine's own disk, a small file system in memory that can be filled up, or
 * ext4 on a loop mount whose power can be cut. What cannot be made here is said with the reason.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Power } from "./power.ts";

export type PlaceKind = "folder" | "small disk" | "ext4";

/** Of the small file system: the store of a chapter with its WAL takes a part of it. */
const smallDiskMb = 48;
/** Of the image behind ext4, which takes only what is written. */
const imageMb = 400;

const unmountTries = 250;

export interface Place {
  /** Of the store. */
  readonly path: string;
  remove(): void;
}

/** Why places of a kind cannot be made here; undefined when they can. */
export function obstacle(kind: PlaceKind, power: Power | undefined): string | undefined {
  if (kind === "folder") return undefined;
  if (process.platform !== "linux") return `this is ${process.platform}, and not Linux`;
  if (process.getuid?.() !== 0) return "only root can mount a file system";
  if (kind === "ext4" && system("mkfs.ext4", ["-V"]).status !== 0) return "mkfs.ext4 is missing (apt-get install e2fsprogs)";
  if (kind === "ext4" && !power) return "python3 is missing, which cuts the power";
  try {
    (kind === "ext4" ? Ext4.make() : SmallDisk.make()).remove();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return undefined;
}

export class Folder implements Place {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "bank.db");
  }

  static make(): Folder {
    return new Folder(newFolder());
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A file system in memory that can be filled to the last byte. */
export class SmallDisk implements Place {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "bank.db");
  }

  static make(): SmallDisk {
    const folder = newFolder();
    mustRun("mount", ["-t", "tmpfs", "-o", `size=${smallDiskMb}m,mode=0755`, "none", folder]);
    return new SmallDisk(folder);
  }

  /** Leaves no byte free. */
  fill(): void {
    const file = openSync(this.#ballast, "a");
    try {
      const block = Buffer.alloc(64 * 1024);
      for (;;) writeSync(file, block);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(file);
    }
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#folder);
    return bavail * bsize;
  }

  makeSpace(): void {
    rmSync(this.#ballast, { force: true });
  }

  remove(): void {
    system("umount", ["-l", this.#folder]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #ballast(): string {
    return join(this.#folder, "ballast");
  }
}

/** ext4 with a journal, on an image that lies in memory: syncing is quick, and what is not synced is as lost as anywhere. */
export class Ext4 implements Place {
  readonly path: string;
  readonly mountPoint: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.mountPoint = join(folder, "disk");
    this.path = join(this.mountPoint, "bank.db");
  }

  static make(): Ext4 {
    const folder = newFolder();
    const place = new Ext4(folder);
    try {
      mustRun("mount", ["-t", "tmpfs", "-o", `size=${imageMb + 16}m`, "none", folder]);
      mkdirSync(place.mountPoint);
      closeSync(openSync(place.#image, "w"));
      truncateSync(place.#image, imageMb * 1024 * 1024);
      mustRun("mkfs.ext4", ["-q", "-F", place.#image]);
      place.#mount();
    } catch (error) {
      place.remove();
      throw error;
    }
    return place;
  }

  /** After a power cut: what the journal holds is there again, and nothing else. Nobody may have a file open. */
  async mountAgain(): Promise<void> {
    for (let tries = 1; system("umount", [this.mountPoint]).status !== 0; tries++) {
      if (tries === unmountTries) mustRun("umount", [this.mountPoint]);
      await sleep(20);
    }
    this.#mount();
  }

  remove(): void {
    system("umount", ["-l", this.mountPoint]);
    system("umount", ["-l", this.#folder]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  // The loop device goes with the mount.
  #mount(): void {
    mustRun("mount", ["-o", "loop", "-t", "ext4", this.#image, this.mountPoint]);
  }

  get #image(): string {
    return join(this.#folder, "image");
  }
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "convergent-torture-"));
}

function mustRun(command: string, args: readonly string[]): void {
  const { status, stderr } = system(command, args);
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")}: ${stderr.trim()}`);
}

function system(command: string, args: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  return spawnSync("/usr/bin/env", [command, ...args], { encoding: "utf8" });
}
