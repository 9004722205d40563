// Several processes on one store: a read waits for the slots that another one owns, whatever it names, from its first moment on.
import { accepted, command, entity, type Reading, service, view } from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "../stores/store-kinds.ts";

const order = entity("order", { initial: () => ({}), events: { placed: z.object({ n: z.number() }) } })
  .evolve({ placed: (state) => state })
  .commands({ place: command(z.object({ n: z.number() }), (_, input, emit) => emit.placed(input)) });
const summary = view("summary", {
  from: [order],
  document: z.object({ n: z.number() }),
  key: (event) => event.entityId,
}).on({ "order.placed": (_, event) => ({ n: event.data.n }) });
const orders = service("orders", { parts: { order, summary } });

test.each(storeKinds.filter(({ severalProcesses }) => severalProcesses))(
  "$name: right after the start of two, each waits for what the other applies, with a token, as of head, and when only a fresh answer will do",
  async (kind) => {
    const place = newPlace();
    const both = await Promise.all(
      [0, 1].map(async () => {
        const running = await orders.start({ store: kind.driver(place) });
        onTestFinished(() => running.stop());
        return running;
      }),
    );
    const readings: Array<Promise<Reading<{ readonly n: number } | undefined>>> = [];
    for (let n = 0; n < 40; n++) {
      const [here, there] = n % 2 === 0 ? both : both.toReversed();
      const { token } = accepted(await here!.order(`o-${n}`).place({ n }));
      const wait = "30s" as const;
      readings.push(
        ...[here!, there!].flatMap(({ summary }) => [
          summary.get(`o-${n}`, { after: token, wait, stale: "error" }),
          summary.get(`o-${n}`, { strong: true, wait, stale: "error" }),
          summary.get(`o-${n}`, { wait, stale: "error" }),
        ]),
      );
    }
    const found = await Promise.all(readings);
    expect(found.map(({ value, fresh }) => [value?.n, fresh])).toEqual(found.map((_, index) => [Math.floor(index / 6), true]));
  },
  60_000,
);
