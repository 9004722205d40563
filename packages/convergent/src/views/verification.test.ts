import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../entities/entity.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Checkpoint } from "../log/store.ts";
import { origin, position, type Position } from "../position/position.ts";
import { slotOf } from "../readers/slots.ts";
import { runtimeOf, service } from "../service/service.ts";
import { memory } from "../stores/memory/index.ts";
import { consumedOf } from "./consumed.ts";
import { Verification } from "./verification.ts";
import { view } from "./view.ts";

const Added = z.object({ group: z.string().optional() });
const thing = entity("thing", { initial: () => 0, events: { added: Added } })
  .evolve({ added: (count) => count + 1 })
  .commands({ add: command(Added, (_, input, emit) => emit.added(input)) });

/** By group, where the version before went by entity: what has no group has no key any more. */
const groups = view("groups", {
  version: 2,
  from: [thing],
  document: z.object({ count: z.number() }),
  key: ({ data }) => {
    if (data.group === undefined) throw new Error("no group");
    return data.group;
  },
}).on({ "thing.added": (document) => ({ count: (document?.count ?? 0) + 1 }) });

const slots = 2;

async function started() {
  const running = await service("things", { parts: { thing } }).start({ store: memory() });
  onTestFinished(() => running.stop());
  for (const group of ["a", "b", undefined]) await running.thing("x").add(group === undefined ? {} : { group });
  const { log } = runtimeOf(running);
  const events = await log.snapshot((tx) => tx.events({ after: origin, upTo: position(3), limit: 3 }));
  return { log, last: events[2] as StoredEvent, events };
}

/** Slots of which one, that of a key, has gone past what the others have. */
function reached(key: string, ahead: Position) {
  const place = { reader: "groups", version: 2, source: "things", epoch: "e", reached: origin, seen: "{}", check: "" };
  const rows = Array.from({ length: slots }, (_, slot): Checkpoint => {
    return { ...place, slot, position: slot === slotOf(key, slots) ? ahead : position(2) };
  });
  return { slots: rows, position: position(2) };
}

test.each(["x", "y"])(
  "a discarded event counts under the key that it was discarded with, here %s, also where it has none by now",
  async (key) => {
    const { log, last, events } = await started();
    const verification = new Verification(log, groups);
    const { id: eventId, type } = last;
    const discard = {
      reader: "groups",
      source: "things",
      eventId,
      position: last.position,
      type,
      key,
      error: "",
      reason: "wrong",
      by: "ada",
      at: 1,
    };
    await log.transact(async (tx) => {
      await tx.parking.saveDiscards([discard]);
      await tx.addConsumed(consumedOf({ reader: "groups", version: 2 }, events));
    });
    expect(await log.snapshot((tx) => verification.complete(tx, reached(key, position(3))))).toBeUndefined();
    const other = ["x", "y", "z", "w", "v"].find((each) => slotOf(each, slots) !== slotOf(key, slots)) as string;
    expect(await log.snapshot((tx) => verification.complete(tx, reached(other, position(3))))).toMatchObject({
      consumed: { events: 3 },
      logged: { events: 2 },
    });
  },
);
