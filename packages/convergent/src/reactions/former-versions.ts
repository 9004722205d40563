/**
 * What former versions of a reaction have set aside. A newer version inherits it where it begins (R4), so the rows of one
 * that nobody runs any more only repeat what the newer one has: they are deleted. The checkpoint stays: an older release
 * that is started again goes on where it stood, and takes back what is still set aside of the events before that.
 */
import type { Log } from "../log/log.ts";
import type { Checkpoint, CheckpointKey, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { comparePositions } from "../position/position.ts";
import { isRun, recordDiscards } from "../readers/parked-requests.ts";

/** At how many looks in a row nobody may be seen to run a version. */
const looksMin = 3;

export class FormerVersions {
  readonly #log: Log;
  readonly #running: () => readonly CheckpointKey[];
  #unused = new Map<string, number>();

  /** `running`: the reactions of this process. */
  constructor(log: Log, running: () => readonly CheckpointKey[]) {
    this.#log = log;
    this.#running = running;
  }

  /** To be called now and then: deletes what is due. */
  async look(): Promise<void> {
    const running = this.#running().filter(({ version }) => version > 1);
    if (running.length === 0) return;
    const former = await this.#log.snapshot((tx) => unusedVersions(tx, running));
    this.#unused = new Map(former.map((key) => [nameOf(key), (this.#unused.get(nameOf(key)) ?? 0) + 1]));
    for (const key of former) if ((this.#unused.get(nameOf(key)) ?? 0) >= looksMin) await this.#log.transact((tx) => drop(tx, key));
  }
}

/** Versions that have set something aside and are run by nobody, below ones of this process that began where they stood. */
async function unusedVersions(tx: ReadTransaction, running: readonly CheckpointKey[]): Promise<CheckpointKey[]> {
  const found = new Map<string, CheckpointKey>();
  for (const { reader, version, source } of await tx.parking.keys()) {
    const key = { reader, version, source };
    const newer = running.find((each) => each.reader === reader && each.source === source && each.version > version);
    if (!newer || found.has(nameOf(key))) continue;
    if ((await tx.checkpoints(newer)).length > 0 && !(await isRun(tx, key))) found.set(nameOf(key), key);
  }
  return [...found.values()];
}

// Without leases the version can be told, should it be started again, from one whose rows are as it left them.
async function drop(tx: WriteTransaction, key: CheckpointKey): Promise<void> {
  if (await isRun(tx, key)) return;
  await recordDiscards(tx, key);
  const checkpoints = (await tx.checkpoints()).filter(({ reader, version }) => reader === key.reader && version === key.version);
  await tx.dropView(key.reader, key.version);
  await tx.saveCheckpoints(checkpoints);
}

/** To be called before a version runs: gives it back what the newest version above it still has set aside of the events that it had passed itself. */
export async function takeBack(log: Log, key: CheckpointKey): Promise<void> {
  if (!(await log.snapshot((tx) => newestAbove(tx, key)))) return;
  await log.transact(async (tx) => {
    const newest = await newestAbove(tx, key);
    const own = new Map((await tx.checkpoints(key)).map((row) => [row.slot, row]));
    if (!newest || own.size === 0 || (await tx.ownership.leases(key)).length > 0) return;
    for (const { key: orderKey } of await tx.parking.keys(newest)) {
      const events = await tx.parking.events(newest, orderKey, Number.MAX_SAFE_INTEGER);
      const passed = events.filter(({ slot, position }) => isPassed(own.get(slot), position));
      await tx.parking.saveEvents(passed.map((event) => ({ ...event, ...key })));
    }
  });
}

function isPassed(slot: Checkpoint | undefined, position: Checkpoint["position"]): boolean {
  return slot !== undefined && comparePositions(position, slot.position) <= 0;
}

async function newestAbove(tx: ReadTransaction, { reader, version, source }: CheckpointKey): Promise<CheckpointKey | undefined> {
  const above = (await tx.checkpoints()).filter((row) => row.reader === reader && row.source === source && row.version > version);
  const newest = Math.max(...above.map((row) => row.version));
  return above.length === 0 ? undefined : { reader, version: newest, source };
}

function nameOf({ reader, version, source }: CheckpointKey): string {
  return `${reader} ${version} ${source}`;
}
