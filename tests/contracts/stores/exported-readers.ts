// What an export carries of readers, for every pair of stores: reactions go on where they were, and nothing of the kind gets in that does not fit.
import { accepted, command, entity, exportLog, importLog, type Position, reaction, service, type Store } from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { addReaders, checkpoint, discard, parked, reaction as reader } from "./copies.ts";
import { newPlace, openStore, type StoreKind, storeKinds } from "./store-kinds.ts";
import { fill, linesOf } from "./transfer.ts";

const counted = z.object({ n: z.number() });
const order = entity("order", { initial: () => ({}), events: { placed: counted } })
  .evolve({ placed: (state) => state })
  .commands({ place: command(counted, (_, input, emit) => emit.placed(input)) });
const mail = entity("mail", { initial: () => ({ sent: 0 }), events: { sent: counted } })
  .evolve({ sent: ({ sent }) => ({ sent: sent + 1 }) })
  .commands({ send: command(counted, (_, input, emit) => emit.sent(input)) });

async function start(kind: StoreKind, place: string, met: number[]) {
  const confirm = reaction("confirm", { from: [order], to: { mail } }).on({
    "order.placed": ({ data, entityId }, { commands }) => {
      met.push(data.n);
      return commands.mail(entityId).send(data);
    },
  });
  const running = await service("orders", { parts: { order, mail, confirm } }).start({ store: kind.driver(place) });
  onTestFinished(() => running.stop());
  return running;
}

function imported(store: Store, lines: readonly string[]) {
  return importLog(
    store,
    (async function* () {
      yield* lines;
    })(),
  );
}

/** The lines of version 1. */
function older(lines: readonly string[]): string[] {
  const fields = lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => !("checkpoint" in line));
  (fields[0] as { version: number }).version = 1;
  delete (fields.at(-1) as { end: { kept?: number } }).end.kept;
  return fields.map((line) => JSON.stringify(line));
}

export function exportedReadersContract(kind: StoreKind): void {
  test.each(storeKinds)("a reaction on an import into $name goes on where it was, and on one of an older file begins anew", async (to) => {
    const place = newPlace();
    const before: number[] = [];
    const running = await start(kind, place, before);
    for (const n of [1, 2, 3]) await running.order(`o-${n}`).place({ n });
    await running.waitFor(accepted(await running.order("o-4").place({ n: 4 })).token, "10s");
    expect(before).toEqual([1, 2, 3, 4]);
    await running.stop();
    const source = await openStore(kind, place);
    const lines = await linesOf(source);
    for (const [file, readers, expected] of [
      [lines, 1, [5]],
      [older(lines), undefined, [1, 2, 3, 4, 5]],
    ] as const) {
      const target = newPlace();
      const store = await openStore(to, target);
      expect(await imported(store, file)).toMatchObject({ kind: "imported", events: 8, readers });
      await store.close();
      const met: number[] = [];
      const again = await start(to, target, met);
      expect(await again.waitFor(accepted(await again.order("o-5").place({ n: 5 })).token, "10s")).toBe(true);
      expect(met).toEqual(expected);
      expect((await again.mail.state("o-5")).state).toEqual({ sent: 1 });
      await again.stop();
    }
  });

  test.each(["jsonl", "cloudevents"] as const)("an export as %s carries of readers and persons what no log tells", async (format) => {
    const place = newPlace();
    await fill(kind, place);
    await addReaders(kind, place);
    const source = await openStore(kind, place);
    const own = { ...checkpoint, reader: "own", source: "orders", epoch: source.identity.epochs[0]!.id };
    const asked = { ...parked, position: 6 as Position, request: { kind: "replay", reason: "", by: "ada", at: 9 } as const };
    await source.write(async (tx) => {
      await tx.saveCheckpoints([0, 1].map((slot) => ({ ...own, slot })));
      await tx.parking.saveEvents([asked]);
    });
    const lines = await linesOf(source, { format });
    const store = await openStore(kind);
    expect(await imported(store, lines)).toMatchObject({ kind: "imported", events: 38, readers: 2 });
    const rows = await store.read(async (tx) => ({
      checkpoints: (await tx.checkpoints()).toSorted((a, b) => a.reader.localeCompare(b.reader) || a.slot - b.slot),
      parked: await tx.parking.events(reader, "k", 10),
      keys: (await tx.parking.keys()).length,
      discards: await tx.parking.discards(),
      forgettings: await tx.persons.forgettings(),
    }));
    expect(rows).toEqual({
      checkpoints: [own, { ...own, slot: 1 }, checkpoint],
      parked: [parked, asked],
      keys: 1,
      discards: [discard],
      forgettings: [{ person: "p", reason: "asked for it", actor: "ada" }],
    });
  });

  test("an export says how far readers were when it began, and not what they did meanwhile", async () => {
    const place = newPlace();
    await fill(kind, place);
    await addReaders(kind, place);
    const store = await openStore(kind, place);
    const parts = exportLog(store);
    let text = (await parts.next()).value as string;
    await store.write((tx) => tx.saveCheckpoints([{ ...checkpoint, position: 99 as Position }]));
    for await (const part of parts) text += part;
    expect(text).toContain(JSON.stringify({ checkpoint }));
  });

  test("rows of readers that do not fit the log or each other are reported by line", async () => {
    const place = newPlace();
    await fill(kind, place);
    await addReaders(kind, place);
    const lines = await linesOf(await openStore(kind, place));
    const at = lines.findIndex((line) => line.startsWith('{"checkpoint"'));
    const edited = (line: number, change: Record<string, unknown>): string[] => {
      const [[kept, row]] = Object.entries(JSON.parse(lines[line] ?? "") as object) as [[string, object]];
      return lines.with(line, JSON.stringify({ [kept]: { ...row, ...change } }));
    };
    for (const [broken, line, said] of [
      [edited(at, { slot: 1 }), at, "slot 1 of the reader reserve-stock comes where slot 0 is to come"],
      [lines.toSpliced(at, 0, lines[at] ?? ""), at + 1, "slot 0 of the reader reserve-stock comes where slot 1 is to come"],
      [edited(at, { reached: 39 }), at, "had reached position 39, and the log ends at 38"],
      [edited(at, { source: "orders", position: 39 }), at, "stands at position 39, and the log ends at 38"],
      [edited(at, { source: "orders" }), at, "stands in the epoch e, which the log has not"],
      [edited(at, { seen: "{" }), at, "seen is no JSON"],
      [edited(at + 1, { slot: 3 }), at + 1, "the reader reserve-stock has no slot 3"],
      [edited(at + 1, { state: "odd" }), at + 1, "state is none of waiting, retrying, parked"],
      [edited(at + 1, { request: { kind: "odd" } }), at + 1, "neither replay nor discard"],
      [edited(at + 2, { eventId: "" }), at + 2, "eventId is empty"],
      [edited(at + 3, { person: 1 }), at + 3, "person is no text"],
      [lines.toSpliced(at, 1), at, "the reader reserve-stock has no slot 0"],
      [lines.toSpliced(at + 2, 1), at + 3, "had 4 rows of readers, and 3 came"],
    ] as const) {
      const outcome = await imported(await openStore(kind), broken);
      expect([said, outcome]).toMatchObject([said, { kind: "refused" }]);
      if (outcome.kind === "refused")
        expect(outcome.problems[0]).toEqual({ at: line + 1, message: expect.stringContaining(said) as string });
    }
  });
}
