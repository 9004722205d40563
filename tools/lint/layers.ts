// The one list of layers: which room of packages/convergent/src stands on which floor, and what it may take from Node.
// The linter (plugin.ts) reads nothing else. A room may import rooms on lower floors; rooms of one floor do not import each other,
// apart from `sameFloor`. A folder that is not listed here is an error, so that a new room is placed before it is used.

/** Low to high. */
export const floors: readonly (readonly string[])[] = [
  ["position", "errors", "host"],
  ["log", "merge", "protocol"],
  ["stores", "readers", "entities", "client", "transfer"],
  ["views", "reactions", "sagas", "records", "caches", "channels", "react"],
  ["service"],
  ["simulator", "testing"],
];

/** The arrows inside a floor: they must not form a circle. */
export const sameFloor: Readonly<Record<string, readonly string[]>> = {
  position: ["errors"],
  host: ["errors"],
  protocol: ["merge"],
  testing: ["simulator"],
};

/** Rooms beside the chain, with the rooms they may import. Only entry points (the files named in `exports`) and tests import them. */
export const besideTheChain: Readonly<Record<string, readonly string[]>> = {
  "host-node": ["position", "errors", "host", "host-web"],
  "host-web": ["position", "errors", "host"],
};

/** Rooms that may use the machine's own clock, randomness, timers, disk and network. */
export const touchesTheMachine: readonly string[] = ["host-node", "host-web"];

/**
 * What other rooms may import from Node: module → folders ("*": every room) and, where only some names are harmless, those names.
 * Everything else comes from `host`, so that the simulator can stand in for it.
 */
export const nodeModules: Readonly<Record<string, { readonly rooms: readonly string[]; readonly names?: readonly string[] }>> = {
  "node:assert": { rooms: ["*"] },
  "node:assert/strict": { rooms: ["*"] },
  "node:async_hooks": { rooms: ["stores"], names: ["AsyncLocalStorage"] },
  "node:crypto": {
    rooms: ["log", "stores", "transfer"],
    names: ["createCipheriv", "createDecipheriv", "createHash", "createHmac", "hash", "timingSafeEqual"],
  },
  // Virtual time needs one thing of the real loop: that promises settle between two steps.
  "node:timers": { rooms: ["simulator"], names: ["setImmediate"] },
  "node:zlib": { rooms: ["stores"], names: ["crc32"] },
  "node:perf_hooks": { rooms: ["*"], names: ["createHistogram"] },
  "node:sqlite": { rooms: ["stores/sqlite"] },
  "node:fs": { rooms: ["stores/sqlite", "stores/files"] },
  "node:path": { rooms: ["stores/sqlite", "stores/files", "stores/postgres"] },
};
