// L5 for every store: epochs, and older copies that are put in place by hand.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beginEpoch, type Fork, Log, parseToken, type Token } from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { appended, codeOf, soundEvents, written } from "./log-questions.ts";
import { newPlace, openLog, openStore, type StoreKind } from "./store-kinds.ts";

export async function tokenOf(log: Log, stream: string): Promise<Token> {
  return parseToken(String(appended(await log.append(written(stream))).token));
}

async function reopened(kind: StoreKind, place: string, forks: Fork[] = []): Promise<Log> {
  const log = await Log.open(kind.driver(place), "orders", { onFork: (fork) => forks.push(fork) });
  onTestFinished(() => log.close());
  return log;
}

/** A log of some length, of which there is a copy. */
async function copied(kind: StoreKind, place: string, length: number): Promise<void> {
  const log = await openLog(kind, place);
  for (let count = 0; count < length; count++) await log.append(written(`order/${count}`));
  await log.close();
  await kind.copy(place);
}

export function epochContract(kind: StoreKind): void {
  test("a new epoch begins behind the head; tokens up to there stay valid, later ones of the past epoch name the fork", async () => {
    const place = newPlace();
    const store = await openStore(kind, place);
    expect(store.identity.epochs).toHaveLength(1);
    await store.close();
    const log = await reopened(kind, place);
    const kept = await tokenOf(log, "order/1");
    await log.close();

    const again = await openStore(kind, place);
    const { epoch, fork } = await again.write((tx) => beginEpoch(tx, again.host.random));
    expect([fork, epoch.first]).toEqual([1, 2]);
    expect(again.identity.epochs.at(-1)).toEqual(epoch);
    expect(await again.read((tx) => tx.epochs())).toEqual(again.identity.epochs);
    await again.close();

    const present = await reopened(kind, place);
    expect(present.epoch).toEqual(epoch);
    expect(await present.demand(kept)).toMatchObject({ position: 1 });
    const next = await tokenOf(present, "order/2");
    expect(next.entries[0]).toMatchObject({ epoch: epoch.id, position: 2 });
    expect(await present.demand(next)).toMatchObject({ position: 2 });
    await soundEvents(present);
  });

  test("an older copy put in place by hand begins a new epoch when it is opened, once, and tells both positions", async () => {
    const place = newPlace();
    await copied(kind, place, 2);
    const log = await reopened(kind, place);
    const lost = await tokenOf(log, "order/lost");
    await tokenOf(log, "order/lost-too");
    await log.close();
    await kind.putBack(place);

    const forks: Fork[] = [];
    const restored = await reopened(kind, place, forks);
    expect(forks).toEqual([{ store: "orders", by: "witness", epoch: restored.epoch, fork: 2, lost: 4 }]);
    expect(restored.epoch.first).toBe(3);
    await tokenOf(restored, "order/3");
    await expect(restored.demand(lost)).rejects.toMatchObject({ code: "token_epoch", details: { position: 3, fork: 2 } });
    await restored.close();
    await (await reopened(kind, place, forks)).close();
    expect(forks).toHaveLength(1);
  });

  test("an older copy that has been written to meanwhile is noticed by the event at the witness's position", async () => {
    const place = newPlace();
    await copied(kind, place, 2);
    const witness = readFileSync(kind.witness(place));
    const log = await reopened(kind, place);
    await tokenOf(log, "order/lost");
    await log.close();
    const knowing = readFileSync(kind.witness(place));
    expect(knowing).not.toEqual(witness);
    await kind.putBack(place);
    rmSync(kind.witness(place));
    const other = await reopened(kind, place);
    for (const stream of ["order/a", "order/b", "order/c"]) await tokenOf(other, stream);
    await other.close();
    writeFileSync(kind.witness(place), knowing);

    const forks: Fork[] = [];
    const restored = await reopened(kind, place, forks);
    expect(forks).toMatchObject([{ fork: 2, lost: 3, epoch: { first: 6 } }]);
    expect((await soundEvents(restored)).length).toBe(5);
  });

  test("a witness that is missing, damaged, older, or of a store that lay there before says nothing, and is written anew", async () => {
    const place = newPlace();
    await (await openLog(kind, place)).close();
    const file = kind.witness(place);
    expect(existsSync(file)).toBe(false); // an empty log has nothing to witness
    await copied(kind, place, 2);
    const own = readFileSync(file, "utf8");
    const elsewhere = newPlace();
    await copied(kind, elsewhere, 9);
    const foreign = readFileSync(kind.witness(elsewhere), "utf8");
    const forks: Fork[] = [];
    for (const text of [undefined, "", own.slice(0, -9), own.replace(/\n2\n/, "\nx\n"), "\0".repeat(50), foreign]) {
      if (text === undefined) rmSync(file);
      else writeFileSync(file, text);
      await (await reopened(kind, place, forks)).close();
      expect(readFileSync(file, "utf8")).toBe(own);
    }
    expect(forks).toEqual([]);
  });

  test("a validly signed token above head begins a new epoch while the log is open, once, and is answered with the fork", async () => {
    const place = newPlace();
    await copied(kind, place, 2);
    const log = await reopened(kind, place);
    const kept = await tokenOf(log, "order/3");
    const lost = await tokenOf(log, "order/lost");
    await log.close();
    await kind.putBack(place);
    rmSync(kind.witness(place));

    const forks: Fork[] = [];
    const restored = await reopened(kind, place, forks);
    const answers = await Promise.all([lost, lost, kept].map((token) => codeOf(restored.demand(token))));
    expect(answers).toEqual(["token_epoch", "token_epoch", "token_epoch"]);
    expect(forks).toMatchObject([{ by: "token", fork: 2, epoch: { first: 3 } }]);
    const next = await tokenOf(restored, "order/3");
    expect(next.entries[0]?.epoch).toBe(forks[0]?.epoch.id);
    expect(await restored.demand(next)).toMatchObject({ position: 3 });
    const forged = parseToken(String(next).replace(/\.3\./, ".9."));
    expect(await codeOf(restored.demand(forged))).toBe("token_invalid");
    expect(forks).toHaveLength(1);
  });
}
