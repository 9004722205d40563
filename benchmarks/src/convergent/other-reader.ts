// The other process of a wake-up: has the same file open, and says when its own view shows what the first one wrote.
import { serveParent } from "../harness/fork-worker.ts";
import { orders } from "./order.ts";
import { sqliteStore } from "./store.ts";
import { monotonicMs, showIn, type Written } from "./wake-up.ts";

const [directory = ""] = process.argv.slice(2);

await serveParent(async (parent) => {
  const show = showIn(await orders.start({ store: sqliteStore(directory) }));
  parent.say("open");
  for (;;) {
    await show(await parent.hear<Written>());
    parent.say(monotonicMs());
  }
});
