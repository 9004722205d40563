/** A disk in memory: what a store without a directory writes to. It lives as long as the driver that holds it. */
import type { Disk, DiskFile } from "../../host/host.ts";

export function memoryDisk(): Disk {
  const files = new Map<string, Uint8Array[]>();
  return {
    read: async (path) => {
      const chunks = files.get(path);
      return chunks && concatenated(chunks);
    },
    open: async (path) => {
      if (!files.has(path)) files.set(path, []);
      return fileOf(files, path);
    },
    replace: async (path, bytes) => {
      files.set(path, [bytes.slice()]);
    },
  };
}

function fileOf(files: Map<string, Uint8Array[]>, path: string): DiskFile {
  return {
    append: async (bytes) => {
      files.get(path)?.push(bytes);
    },
    sync: async () => undefined,
    truncate: async (size) => {
      files.set(path, [concatenated(files.get(path) ?? []).slice(0, size)]);
    },
    close: async () => undefined,
  };
}

function concatenated(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
