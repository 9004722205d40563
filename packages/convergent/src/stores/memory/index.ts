/** Entry point `convergent/memory`. */
import { nodeHost } from "../../host-node/host.ts";
import type { Host } from "../../host/host.ts";
import type { KeyVault } from "../../log/key-vault.ts";
import type { StoreDriver } from "../../log/store.ts";
import { memoryDisk } from "./memory-disk.ts";
import { MemoryStore } from "./memory-store.ts";
import { memoryVault } from "./memory-vault.ts";

/** Where a memory store keeps its journal, if anywhere. */
export interface MemoryOptions {
  /** Where the journal lies, as `<directory>/<service>.journal`. Without one the data lives as long as this driver. */
  readonly directory?: string;
  /** The journal itself, whatever its name; for tools. */
  readonly file?: string;
  /** Clock, randomness, timers and disk; the real ones unless given. */
  readonly host?: Host;
  /** How long a write transaction may stay open, in milliseconds. Default 10,000. */
  readonly transactionLimitMs?: number;
}

/**
 * A store that keeps all rows in memory and, given a directory, journals every commit to disk before it is
 * acknowledged. One process at a time. For tests, simulations and small services.
 */
export function memory(options: MemoryOptions = {}): StoreDriver {
  const given = options.host ?? nodeHost();
  const host: Host =
    options.directory === undefined && options.file === undefined && !options.host ? { ...given, disk: memoryDisk() } : given;
  const vaults = new Map<string, KeyVault>();
  // A journal would keep what is to be forgotten: only what is in memory alone may hold personal data.
  const vaultOf = (name: string): KeyVault | undefined => {
    if (options.directory !== undefined || options.file !== undefined) return undefined;
    const vault = vaults.get(name) ?? memoryVault(host.random);
    vaults.set(name, vault);
    return vault;
  };
  return {
    host,
    open: ({ name }) =>
      MemoryStore.open({
        host,
        name,
        path: options.file ?? `${options.directory ?? "memory"}/${name}.journal`,
        vault: vaultOf(name),
        ...(options.transactionLimitMs === undefined ? {} : { limitMs: options.transactionLimitMs }),
      }),
  };
}
