// Sagas that reactions start, in virtual time, where processes crash, clocks skew and messages are lost: each timer goes off once or is called
// off, a wait misses no event, and a child ends as its parent does.
import { createGateway } from "@convergent/server";
import { command, entity, reaction, saga, service } from "convergent";
import { explore } from "convergent/testing";
import { expect, test } from "vitest";
import { z } from "zod";

const Nothing = z.object({});
const dueMs = 2_000;

const order = entity("order", {
  initial: () => ({ placed: false, reminders: 0 }),
  events: { placed: Nothing, paid: Nothing, reminded: Nothing },
})
  .evolve({
    placed: (state) => ({ ...state, placed: true }),
    paid: (state) => state,
    reminded: (state) => ({ ...state, reminders: state.reminders + 1 }),
  })
  .commands({
    place: command(Nothing, (state, _, emit) => (state.placed ? [] : emit.placed({}))),
    pay: command(Nothing, (_, __, emit) => emit.paid({})),
    remind: command(Nothing, (_, __, emit) => emit.reminded({})),
  });
const reminder = saga("reminder", { input: z.object({ at: z.number() }) }, async (s, { at }) => s.until("due", at));
const watchPayment = reaction("watch-payment", { from: [order], to: { reminder } }).on({
  "order.placed": ({ entityId, at }, { commands }) => commands.reminder(entityId).start({ at: at + dueMs }),
  "order.paid": ({ entityId }, { commands }) => commands.reminder(entityId).cancel({ reason: "paid" }),
});
const remind = reaction("remind", { from: [reminder.entity], to: { order } }).on({
  "reminder.completed": ({ entityId }, { commands }) => commands.order(entityId).remind({}),
});
const orders = service("orders", { parts: { order, reminder, watchPayment, remind } });

const ids = Array.from({ length: 12 }, (_, index) => `o-${index}`);

interface Count {
  [status: string]: number;
}

const counted = (count: Count, status: string): void => void (count[status] = (count[status] ?? 0) + 1);

test("each timer goes off once, or is called off, whatever happens to the processes", async () => {
  const ends: Count = {};
  const { faults } = await explore(orders, {
    seeds: 40,
    steps: 3_000,
    except: ["clock jump"], // a time of day that is an hour off comes an hour late
    gateway: createGateway,
    workload: async ({ client, random, sleep }) => {
      const id = ids[Math.floor(random.fraction() * ids.length)] as string;
      await client.order(id).place({});
      if (random.fraction() < 0.3) {
        await sleep(dueMs * 2 * random.fraction());
        await client.order(id).pay({});
      }
    },
    invariants: {
      "a timer that has gone off has reminded once, one that was called off never": async ([running]) => {
        for (const id of ids) {
          const known = await running?.order.state(id).catch(() => undefined);
          if (!running || !known?.state.placed) continue;
          const { status, token, error } = await running.reminder.end(id, { wait: "60s" });
          await running.waitFor(token, "60s"); // the reaction to its end
          counted(ends, status);
          const { reminders } = (await running.order.state(id)).state;
          const wanted = status === "completed" ? 1 : 0;
          if (status === "running" || status === "parked" || reminders !== wanted)
            throw new Error(`the reminder ${id} is ${status} (${error}), and ${reminders} were sent`);
        }
      },
    },
  });
  expect(ends).toEqual({ completed: expect.any(Number) as number, compensated: expect.any(Number) as number });
  expect(faults["process crash"]).toBeGreaterThan(10);
}, 120_000);

const parcel = saga("parcel", { input: Nothing }, async (s) => {
  await s.step("label", () => "label", { undo: () => undefined });
  await s.sleep("courier", "200ms");
});
const dispatch = saga("dispatch", { input: Nothing }, async (s) => {
  await s.sleep("think", "300ms");
  const paid = await s.waitFor(order, "order.paid", { entityId: s.id, timeout: "2s" });
  if (!paid) return { paid: 0 };
  await s.run(parcel, {});
  await s.step(
    "tell",
    () => {
      if (Number(s.id.slice(2)) % 2 === 1) throw new Error("no address");
    },
    { retry: { attempts: 1 } },
  );
  return { paid: paid.version };
});
const follow = reaction("follow", { from: [order], to: { dispatch } }).on({
  "order.placed": ({ entityId }, { commands }) => commands.dispatch(entityId).start({}),
});

test("a wait is answered by the first event in time, and by nothing only if there is none; a child ends as its parent does", async () => {
  const ends: Count = {};
  await explore(service("orders", { parts: { order, parcel, dispatch, follow } }), {
    seeds: 40,
    steps: 3_000,
    except: ["clock jump", "clock skew", "clock drift"], // "in time" is as exact as the clocks of the processes are
    gateway: createGateway,
    workload: async ({ client, random, sleep }) => {
      const id = ids[Math.floor(random.fraction() * ids.length)] as string;
      await client.order(id).place({});
      await sleep(3_000 * random.fraction());
      if (random.fraction() < 0.5) await client.order(id).pay({});
    },
    invariants: {
      "waits and children": async ([running]) => {
        for (const id of ids) {
          if (!running || !(await running.order.state(id).catch(() => undefined))?.state.placed) continue;
          const end = await running.dispatch.end(id, { wait: "60s" });
          const child = await running.parcel.get(`dispatch/${id}/parcel`).catch(() => undefined);
          const wait = end.steps.find(({ kind }) => kind === "event");
          const events = await running.order.events(id);
          const isInTime = (at: number): boolean => at >= end.startedAt && at <= (wait?.begunAt ?? 0) + 2_000 && at < (wait?.endedAt ?? 0);
          const paid = events.find(({ type, at }) => type === "order.paid" && isInTime(at));
          const answer = (wait?.result as { readonly version: number } | undefined)?.version;
          const says = `${end.status} ${child?.status}`;
          counted(ends, says);
          if (paid && paid.version !== answer)
            throw new Error(`${id} was paid at version ${paid.version}, and the wait was answered ${answer}`);
          if (!["completed undefined", "completed completed", "compensated compensated"].includes(says))
            throw new Error(`${id} is ${says}`);
          if ((answer === undefined) !== (child === undefined))
            throw new Error(`${id} was answered ${answer}, and its child is ${child?.status}`);
        }
      },
    },
  });
  expect(Object.keys(ends).toSorted()).toEqual(["compensated compensated", "completed completed", "completed undefined"]);
}, 120_000);
