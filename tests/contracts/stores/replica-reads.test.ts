// Random writes and reads while a standby now replays and now does not: no answer says more of itself than is so.
import { beforeAll, expect, onTestFinished, test } from "vitest";
import type { RunningPostgres } from "../../../tools/postgres.ts";
import { asked, open, Servers } from "./replica-servers.ts";

const servers = new Servers();
let primary: RunningPostgres;
let standby: RunningPostgres;

beforeAll(async () => {
  primary = await servers.start();
  standby = await servers.standby("standby");
}, 60_000);

const keys = ["a", "b", "c", "d", "e"];
const readsMin = 1_500;
const readersMax = 12;

/** What was written, and when it was acknowledged, by position. */
interface Written {
  readonly key: string;
  readonly n: number;
  readonly position: number;
  readonly at: number;
}

test("of 1,500 answers none is staler than it says, and none that is called fresh lacks what was asked for", {
  timeout: 60_000,
}, async () => {
  const { set, note, latest, reads, waitFor, log } = await open({ primary: primary.url, replicas: [standby.url] });
  const { random, clock } = log.host;
  const written: Written[] = [];
  const tokens = new Map<number, Awaited<ReturnType<typeof set>>>();
  const counts = { reads: 0, fresh: 0, stale: 0, wrong: [] as unknown[] };
  const state = { ended: false };
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)] as T;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, random.fraction() * ms));
  /** The newest value of a key among those up to a position. */
  const valueAt = (key: string, position: number) => written.findLast((each) => each.key === key && each.position <= position)?.n;

  const write = async (): Promise<void> => {
    for (let n = 1; !state.ended; n++) {
      const key = pick(keys);
      // Events that the view does not want lie in between.
      if (random.fraction() < 0.3) await note(key).write({});
      const token = await set(key, n);
      const { position, time } = token.entries[0] as { position: number; time: number };
      written.push({ key, n, position, at: time });
      tokens.set(position, token);
      await pause(6);
    }
  };

  const read = async (): Promise<void> => {
    while (counts.reads < readsMin) {
      const key = pick(keys);
      const done = [...written];
      const now = clock.now();
      const kind = pick(["after", "after", "nothing", "maxAge", "both"] as const);
      // Mostly the newest one: what has just been written is the question.
      const wanted = kind === "after" || kind === "both" ? (random.fraction() < 0.7 ? done.at(-1) : pick(done)) : undefined;
      const maxAgeMs = kind === "maxAge" || kind === "both" ? pick([50, 400, 1_500]) : undefined;
      const after = wanted && tokens.get(wanted.position);
      const reading = await latest.get(key, {
        ...(after ? { after } : {}),
        ...(maxAgeMs ? { maxAge: `${maxAgeMs}ms` } : {}),
        wait: pick(["0ms", "60ms", "200ms"]),
      });
      counts.reads++;
      counts[reading.fresh ? "fresh" : "stale"]++;
      const value = reading.value?.n;
      // The value is at least as new as its label.
      const due = [valueAt(key, reading.asOf)];
      if (reading.fresh && wanted) due.push(valueAt(key, wanted.position));
      if (reading.fresh && !wanted && maxAgeMs === undefined) due.push(done.findLast((each) => each.key === key)?.n);
      if (reading.fresh && maxAgeMs !== undefined) due.push(done.findLast((each) => each.key === key && each.at < now - maxAgeMs)?.n);
      // And what it does not claim to lack, it does not lack.
      const lacking = done.filter((each) => each.position > reading.asOf).length;
      const isWrong = due.some((n) => (n ?? 0) > (value ?? 0)) || reading.behind.positions < lacking;
      if (isWrong) counts.wrong.push({ key, kind, wanted, maxAgeMs, value, due, lacking, asOf: reading.asOf, behind: reading.behind });
      await pause(4);
    }
  };

  const disturb = async (): Promise<void> => {
    while (!state.ended) {
      await asked(standby, "SELECT pg_wal_replay_pause()");
      await pause(400);
      await asked(standby, "SELECT pg_wal_replay_resume()");
      await pause(300);
    }
  };
  onTestFinished(async () => {
    state.ended = true;
    await asked(standby, "SELECT pg_wal_replay_resume()");
  });

  await waitFor(await set("a", 0));
  const others = [write(), disturb()];
  await expect.poll(() => written.length).toBeGreaterThan(5);
  await Promise.all(Array.from({ length: readersMax }, read));
  state.ended = true;
  await Promise.all(others);
  expect(counts.wrong).toEqual([]);
  expect(counts.reads).toBeGreaterThanOrEqual(readsMin);
  // On a machine that is busy with other things, too, both took part.
  expect(counts.fresh).toBeGreaterThan(readsMin / 20);
  expect(reads()).toBeGreaterThan(readsMin / 20);
});
