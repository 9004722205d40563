import { expect, test } from "vitest";
import { nodeHost } from "../host-node/host.ts";
import type { Host } from "../host/host.ts";
import { position } from "../position/position.ts";
import { mergeTokens, parseToken, type Token, type TokenEntry } from "../position/token.ts";
import { memory } from "../stores/memory/index.ts";
import { memoryDisk } from "../stores/memory/memory-disk.ts";
import { Log } from "./log.ts";
import { TokenIssuer } from "./token-issuer.ts";

const identity = {
  store: "orders",
  key: "secret",
  epochs: [
    { id: "e1", first: position(1) },
    { id: "e2", first: position(11) },
  ],
};
const entryOf = (token: Token): TokenEntry => parseToken(String(token)).entries[0] as TokenEntry;

test("a token is issued in the epoch of its position, and verified there", () => {
  const issuer = new TokenIssuer({ identity });
  const before = entryOf(issuer.issue({ position: position(10), at: 5, id: "abcdefgh" }));
  const after = entryOf(issuer.issue({ position: position(11), at: 5, id: "abcdefgh" }));
  expect([before.epoch, after.epoch]).toEqual(["e1", "e2"]);
  expect(() => issuer.verify(before)).not.toThrow();
  expect(() => issuer.verify(after)).not.toThrow();
  expect(issuer.matches(before, "abcdxxxx")).toBe(true);
  expect(issuer.matches(before, "abcexxxx")).toBe(false);
});

test("a token past the fork of a restore is answered with the fork; a forged one is invalid", () => {
  const old = new TokenIssuer({ identity: { ...identity, epochs: identity.epochs.slice(0, 1) } });
  const lost = entryOf(old.issue({ position: position(12), at: 5, id: "abcdefgh" }));
  const issuer = new TokenIssuer({ identity });
  expect(() => issuer.verify(lost)).toThrow(
    expect.objectContaining({ code: "token_epoch", details: { store: "orders", position: 12, fork: 10 } }) as Error,
  );
  expect(() => issuer.verify({ ...lost, position: position(9) })).toThrow(expect.objectContaining({ code: "token_invalid" }) as Error);
});

async function logAt(clock: { now: number }): Promise<Log> {
  const host: Host = { ...nodeHost(), disk: memoryDisk(), clock: { now: () => clock.now, elapsed: () => performance.now() } };
  return Log.open(memory({ host }), "orders");
}

async function write(log: Log, stream = "order/1"): Promise<Token> {
  const outcome = await log.append({ stream, expected: "any", events: [{ type: "order.placed", data: 1 }] });
  if (outcome.kind !== "appended") throw new Error("not appended");
  return parseToken(String(outcome.token));
}

test("the newest of our entries counts unless it is past the horizon; foreign ones are handed on, however old", async () => {
  const clock = { now: 1_000_000 };
  const log = await logAt(clock);
  const first = await write(log);
  const second = await write(log);
  const foreign = parseToken(`stock.x.9.${clock.now}.abcd.mac`);
  expect(await log.demand(mergeTokens(first, second, foreign))).toEqual({ position: 2, foreign: foreign.entries });
  clock.now += 3_600_001;
  await write(log);
  expect(await log.demand(mergeTokens(first, second, foreign))).toEqual({ position: 0, foreign: foreign.entries });
});

test("a clock that is hours ahead, of who is asked or of who wrote last, makes no young entry old", async () => {
  const clock = { now: 1_000_000 };
  const log = await logAt(clock);
  const first = await write(log);
  clock.now += 7_200_000;
  expect(await log.demand(first)).toEqual({ position: 1, foreign: [] });
  await write(log);
  clock.now -= 7_200_000;
  expect(await log.demand(first)).toEqual({ position: 1, foreign: [] });
});

test("a token above head, or for another event at its position, is one of a lost history", async () => {
  const disk = memoryDisk();
  const host: Host = { ...nodeHost(), disk };
  const log = await Log.open(memory({ host }), "orders");
  await write(log);
  // An older copy, put back by hand: the same identity and key, and a history that goes on otherwise.
  const copied = await disk.read("memory/orders.journal");
  const lost = await write(log);
  const older = memoryDisk();
  const file = await older.open("memory/orders.journal");
  await file.append(copied ?? new Uint8Array());
  const restored = await Log.open(memory({ host: { ...host, disk: older } }), "orders");
  await expect(restored.demand(lost)).rejects.toMatchObject({ code: "token_epoch", details: { position: 2, fork: 1 } });
  await write(restored, "order/2");
  await expect(restored.demand(lost)).rejects.toMatchObject({ code: "token_epoch", details: { position: 2, fork: 1 } });
});

test("an id that is voided is refused for ever; one that took effect cannot be voided and says so", async () => {
  const log = await logAt({ now: 1000 });
  const request = (id: string): Parameters<Log["append"]>[0] => ({
    stream: "order/1",
    expected: "any",
    events: [{ type: "order.placed", data: 1 }],
    id: { scope: "", id },
  });
  expect(await log.void({ scope: "", id: "a" })).toMatchObject({ state: "void" });
  await expect(log.append(request("a"))).rejects.toMatchObject({ code: "id_voided" });
  await log.append(request("b"));
  expect(await log.void({ scope: "", id: "b" })).toMatchObject({ state: "done", position: 1 });
  expect(await log.append(request("b"))).toMatchObject({ repeated: true });
});
