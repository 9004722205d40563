// The other process of a wake-up on PostgreSQL: `other-reader.ts URL DIRECTORY`. Says of each order when its own view shows it.
import { postgres } from "convergent/postgres";
import { orders } from "../convergent/order.ts";
import { showIn, type Written } from "../convergent/wake-up.ts";
import { serveParent } from "../harness/fork-worker.ts";

const [url = "", directory = ""] = process.argv.slice(2);

await serveParent(async (parent) => {
  const show = showIn(await orders.start({ store: postgres(url, { directory }) }));
  parent.say("open");
  for (;;) {
    const written = await parent.hear<Written>();
    void show(written).then(() => parent.say(written.order)); // several may be under way
  }
});
