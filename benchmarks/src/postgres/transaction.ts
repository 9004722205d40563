// Appends beside a transaction of somebody else's in which one is staged, and which stays open for a second each time.
import assert from "node:assert";
import { setTimeout as sleep } from "node:timers/promises";
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import type { SubjectCode } from "../bench.ts";
import { appendOne } from "../convergent/log.ts";
import { orderPlaced } from "../workload.ts";
import { measured } from "./append.ts";
import { withDatabase } from "./database.ts";

const inFlight = 8;

/** Figures: `rate` in appends/s; `p50` and `p99` in ms. Without `openMs` there is no such transaction. */
export function beside({ openMs }: { readonly openMs?: number }): SubjectCode {
  return {
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, {}, async (url) => {
        const log = await Log.open(postgres(url, { directory }), "orders");
        const client = new pg.Client({ connectionString: url });
        await client.connect();
        let isOver = false;
        const others = openMs === undefined ? Promise.resolve() : transactions(log, client, { openMs, isOver: () => isOver });
        const { rate, p50, p99 } = await measured(inFlight, boxMs, (index) => appendOne(log, index));
        isOver = true;
        await others;
        await client.end();
        await log.close();
        return { rate, p50, p99 };
      }),
  };
}

async function transactions(
  log: Log,
  client: pg.Client,
  { openMs, isOver }: { readonly openMs: number; readonly isOver: () => boolean },
): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    await client.query("BEGIN");
    const events = [{ type: "order.placed", data: orderPlaced(turn) }];
    const staged = await log.append({ stream: `invoice/${turn}`, expected: "none", events }, { tx: client });
    await sleep(openMs);
    await client.query("COMMIT");
    assert.equal((await staged.result()).lastVersion, 1);
  }
}
