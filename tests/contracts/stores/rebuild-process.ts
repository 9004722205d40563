// A process that builds version 2 of a view beside version 1, and may be killed on the way: `rebuild-process.ts ORDERS`, JSON.
import type { CrashPoint } from "convergent";
import { say } from "./workload.ts";
import { crashingHost } from "./odd-hosts.ts";
import { type RebuildOrders, startNotes, version2 } from "./rebuild-service.ts";

const orders = JSON.parse(process.argv[2] ?? "") as RebuildOrders;
const done = (): void => process.exit(0);

await startNotes({
  ...orders,
  notes: version2,
  host: crashingHost(orders.crash.point as CrashPoint, orders.crash.hit),
  news: (news) => {
    say({ told: news.kind });
    if (news.kind === "dropped") done();
  },
});
setTimeout(done, 30_000);
