// Names the machine a bench ran on: figures of one machine say little about another, ratios a little more.
import { readFileSync, statfsSync } from "node:fs";
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** The SQLite inside `node:sqlite`; a peer may bring its own. */
  readonly sqlite: string;
  readonly os: string;
  readonly filesystem: string;
}

// Magic numbers of statfs(2), for the file systems one is likely to bench on.
const filesystems: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x2fc12fc1, "zfs"],
  [0xf2f52010, "f2fs"],
  [0x794c7630, "overlayfs"],
  [0x01021994, "tmpfs"],
  [0x858458f6, "ramfs"],
  [0x6969, "nfs"],
  [0x1a, "apfs"],
]);

export function filesystemOf(path: string): string {
  const magic = statfsSync(path).type;
  return filesystems.get(magic) ?? `unknown (0x${magic.toString(16)})`;
}

export function machine(directory: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    sqlite: process.versions["sqlite"] ?? "unknown",
    os: `${distribution() ?? type()}, ${type()} ${release()} ${arch()}`,
    filesystem: filesystemOf(directory),
  };
}

function distribution(): string | undefined {
  try {
    return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  } catch {
    return undefined;
  }
}
