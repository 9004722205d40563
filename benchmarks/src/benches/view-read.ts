// A read of a view by key over HTTP: what everything behind the route costs, compared with the same server that does nothing.
import type { Bench, Subject } from "../bench.ts";
import type { ReadHandler } from "../convergent/gateway.ts";

const boxMs = 5_000;

function subject(name: string, handler: ReadHandler | "bare"): Subject {
  return {
    name,
    figures: { rate: "requests/s", cpu: "µs" },
    boxMs,
    load: async () => (await import("../http/requests.ts")).reads(handler),
  };
}

export const viewRead: Bench = {
  name: "view-read",
  summary: "a read of a view by key over HTTP on 64 kept-alive connections, beside an empty handler on the same server",
  groups: [
    {
      name: "view-read",
      subjects: [
        subject("gateway, view read", "view read"),
        subject("gateway, empty handler", "gateway, empty read"),
        subject("hono, empty handler", "hono, empty read"),
        subject("node:http, constant answer", "bare"),
      ],
    },
  ],
  claims: [
    {
      label: "view read",
      basis: "reads/s by requests/s of an empty handler in the gateway, which answers a constant",
      floor: 0.7,
      ratio: (median) => median("gateway, view read/rate") / median("gateway, empty handler/rate"),
    },
    {
      label: "view read, bare stack",
      basis: "reads/s by requests/s of the same empty handler without the gateway",
      floor: 0.5,
      ratio: (median) => median("gateway, view read/rate") / median("hono, empty handler/rate"),
    },
  ],
};
