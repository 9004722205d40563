/**
 * A writing process of the race, begun by fork: some writers on one log, each one turn after another; a follower that reads as
 * readers do, from memory where it can, and one that asks the store each time; and a reader with a view, whose slots all processes share.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Log, type Position, type StoredEvent } from "convergent";
import { postgres } from "convergent/postgres";
import { SeededRandom } from "convergent/simulator";
import { Follower } from "./follower.ts";
import type { Order, Orders, Said } from "./orders.ts";
import { countsReader } from "./counts-reader.ts";
import { Writers } from "./writers.ts";

/** Events of a page: few enough that pages end in the middle of what one transaction wrote. */
const pageEvents = 200;
/** From one question to the next, so that writers have most of the machine; and how long a wake-up is waited for that may be lost. */
const pauseMs = { recent: 5, stored: 50 };
const wakeWithinMs = 100;
const endWithinMs = 60_000;

function say(said: Said): void {
  process.send?.(said);
}

const complain = (message: string): void => say({ kind: "complaint", message });

const waiting = new Map<Order["do"], (order: Order) => void>();
process.on("message", (order: Order) => waiting.get(order.do)?.(order));
process.once("disconnect", () => process.exit(1)); // who began it is gone

function order<Kind extends Order["do"]>(kind: Kind): Promise<Extract<Order, { do: Kind }>> {
  return new Promise((resolve) => waiting.set(kind, (one) => resolve(one as Extract<Order, { do: Kind }>)));
}

const [opening, writing, resting, ending] = [order("open"), order("write"), order("rest"), order("end")];
await race((await opening).orders);
process.disconnect();

async function race(orders: Orders): Promise<void> {
  const log = await Log.open(postgres(orders.url, { schema: orders.schema, directory: orders.directory }), "race");
  const reader = countsReader(log, complain);
  reader.start();
  const end = { at: Infinity };
  const recent = new Follower(`process ${orders.process}, as readers read`);
  const stored = new Follower(`process ${orders.process}, from the store`);
  const follow = async (follower: Follower, pause: number, page: (after: Position) => Promise<readonly StoredEvent[]>): Promise<void> => {
    while (follower.position < end.at) {
      const woken = advanced(log);
      // A connection that was ended is one answer less; the next question has another.
      const events = await page(follower.position as Position).catch(() => []);
      if (events.length > 0) follower.page(events);
      if (events.length < pageEvents) await Promise.all([sleep(pause), events.length > 0 || Promise.race([woken, sleep(wakeWithinMs)])]);
    }
  };
  const following = Promise.all([
    follow(recent, pauseMs.recent, async (after) => (await log.read({ after, limit: pageEvents })).events),
    follow(stored, pauseMs.stored, (after) =>
      log.snapshot(async (tx) => tx.events({ after, upTo: (await tx.head()).position, limit: pageEvents })),
    ),
  ]);
  const writers = await Writers.ready(log, orders, new SeededRandom(orders.seed, `process ${orders.process}`), complain);
  say({ kind: "opened" });
  await writing;
  const written = writers.write();
  await resting;
  say({ kind: "written", ...(await writers.rest(written)) });
  end.at = (await ending).at;
  await following;
  if (!(await reader.waitFor(end.at as Position, endWithinMs)))
    complain(`the reader of process ${orders.process} is ${reader.state} at ${reader.position}, and the log ends at ${end.at}`);
  await reader.stop();
  await log.close();
  say({ kind: "seen", seen: [recent.seen(), stored.seen()], pages: recent.pages + stored.pages });
}

/** Resolves when this process hears of an event more. */
function advanced(log: Log): Promise<void> {
  return new Promise((resolve) => {
    const stop = log.onAdvance(() => {
      stop();
      resolve();
    });
  });
}
