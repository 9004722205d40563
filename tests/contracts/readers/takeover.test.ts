// Several processes run one reader: every slot has one owner, slots move as processes come and go, and whatever dies or
// stands still on the way, each event takes effect once.
import { type CrashPoint, crashPoints, type Lease, type Log } from "convergent";
import { describe, expect, test } from "vitest";
import { allEvents } from "../stores/log-questions.ts";
import { newPlace, openLog, storeKind, type StoreKind, storeKinds } from "../stores/store-kinds.ts";
import { run, tally, tallyReader } from "../stores/workload.ts";
import { type ReaderProcess, startReader } from "./start-reader.ts";

const slots = 16;
/** Within which a dead owner's slots are somebody else's. */
const takeoverMs = 10_000;

let rounds = 0;
const append = (log: Log, turns = 3): Promise<void> => run(log, { name: `load-${rounds++}`, writers: 8, turns }, () => undefined);
const opened = async ({ name }: StoreKind): Promise<{ at: { kind: string; place: string }; log: Log }> => {
  const place = newPlace();
  return { at: { kind: name, place }, log: await openLog(storeKind(name), place) };
};
const leasesOf = (log: Log): Promise<Lease[]> => log.snapshot((tx) => tx.ownership.leases());
const owns = async (process: ReaderProcess, owned: number, timeout = 10_000): Promise<void> => {
  await expect.poll(() => process.standing.owned, { timeout }).toBe(owned);
};

async function everyEventOnce(log: Log): Promise<void> {
  const positions = new Map<string, number[]>();
  for (const event of await allEvents(log)) positions.set(event.stream, [...(positions.get(event.stream) ?? []), event.position]);
  const streams = [...positions.keys()];
  const read = async (): Promise<unknown> => log.snapshot((tx) => tx.documents(tally.view, tally.version, streams));
  await expect.poll(read, { timeout: 20_000 }).toEqual(streams.map((stream) => JSON.stringify(positions.get(stream))));
}

const steps: readonly CrashPoint[] = crashPoints.filter((point) => point.startsWith("lease."));

describe.each(storeKinds.filter((each) => each.severalProcesses))("$name", (kind) => {
  test("slots are shared by the processes that run a reader: each has one owner, and moves when a process comes or goes", async () => {
    const { at, log } = await opened(kind);
    await append(log);
    const first = startReader(at);
    await owns(first, slots);
    const others = [startReader(at), startReader(at)];
    const all = [first, ...others];
    const sum = (): number => all.reduce((count, each) => count + each.standing.owned, 0);
    await expect.poll(() => others.every((each) => each.standing.owned > 0) && sum() === slots, { timeout: 10_000 }).toBe(true);
    const members = await log.snapshot((tx) => tx.ownership.members());
    expect(members.map((member) => member.readers)).toEqual(all.map(() => [{ reader: "tally", version: 1, source: "orders" }]));
    const leases = await leasesOf(log);
    expect(new Set(leases.map((lease) => lease.owner))).toEqual(new Set(members.map((member) => member.id)));
    await append(log, 10);
    await everyEventOnce(log);
    // A process that does not own a slot knows how far it is.
    const { position } = await log.head();
    for (const each of all) await expect.poll(() => each.standing.position, { timeout: 10_000 }).toBe(position);
    for (const each of others) each.tell();
    for (const each of others) expect(await each.ended).toEqual({ code: 0, signal: null, complaint: "" });
    await owns(first, slots);
    await append(log);
    await everyEventOnce(log);
  });

  test("the slots of a killed process are another's within ten seconds, and a wait for what it had not applied is met", async () => {
    const { at, log } = await opened(kind);
    const [one, two] = [startReader(at), startReader(at)];
    await expect.poll(() => one.standing.owned > 0 && two.standing.owned > 0, { timeout: 10_000 }).toBe(true);
    one.kill("SIGKILL");
    await one.ended;
    await append(log);
    await owns(two, slots, takeoverMs);
    await everyEventOnce(log);
  });

  test.each(steps)("a process that is killed at %s while it takes over leaves slots that the next one takes", async (point) => {
    const { at, log } = await opened(kind);
    await append(log);
    const owner = startReader(at);
    await owns(owner, slots);
    owner.kill("SIGKILL");
    await owner.ended;
    await append(log);
    const successor = startReader({ ...at, signal: { name: "SIGKILL", point, hit: 1 } });
    expect(await successor.ended).toMatchObject({ signal: "SIGKILL", complaint: "" });
    expect(successor.reached).toEqual([point]);
    const reader = tallyReader(log);
    reader.start();
    expect(await reader.waitFor((await log.head()).position, takeoverMs)).toBe(true);
    await everyEventOnce(log);
    await reader.stop();
  });

  test("an owner that stands still past its lease and comes back with a batch in its hands commits nothing of it", async () => {
    const { at, log } = await opened(kind);
    await append(log, 2);
    // It stops itself with events that it has read and not applied.
    const late = startReader({ ...at, signal: { name: "SIGSTOP", point: "reader.read", hit: 3 } });
    await expect.poll(() => late.reached, { timeout: 10_000 }).toEqual(["reader.read"]);
    const reader = tallyReader(log);
    reader.start();
    const { position } = await log.head();
    expect(await reader.waitFor(position, 2 * takeoverMs)).toBe(true);
    expect(await reader.slots()).toMatchObject({ owned: slots, unowned: 0 });
    await everyEventOnce(log);
    late.kill("SIGCONT");
    // It learns that it owns nothing any more, joins again, and is given its share.
    await expect.poll(() => late.standing.owned > 0 && late.standing.owned < slots, { timeout: 10_000 }).toBe(true);
    await append(log, 5);
    expect(await reader.waitFor((await log.head()).position, takeoverMs)).toBe(true);
    await everyEventOnce(log);
    await reader.stop();
    late.tell();
    expect(await late.ended).toEqual({ code: 0, signal: null, complaint: "" });
  });
});
