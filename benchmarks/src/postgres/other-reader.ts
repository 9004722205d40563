// The other process of a wake-up on PostgreSQL: `other-reader.ts URL DIRECTORY`. Says of each position when its own view has it.
import { postgres } from "convergent/postgres";
import { orders } from "../convergent/order.ts";
import { serveParent } from "../harness/fork-worker.ts";
import { appliedIn } from "./wake-up.ts";

const [url = "", directory = ""] = process.argv.slice(2);

await serveParent(async (parent) => {
  const applied = appliedIn(await orders.start({ store: postgres(url, { directory }) }));
  parent.say("open");
  for (;;) {
    const position = await parent.hear<number>();
    void applied(position).then(() => parent.say(position)); // several may be under way
  }
});
