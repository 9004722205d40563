// A command over HTTP: what everything behind the route costs, compared with the same server that does nothing.
import type { Bench, Subject } from "../bench.ts";
import type { CommandHandler } from "../convergent/gateway.ts";

const boxMs = 6_000;

function subject(name: string, handler: CommandHandler | "bare"): Subject {
  return {
    name,
    figures: { rate: "requests/s", cpu: "µs" },
    boxMs,
    load: async () => (await import("../http/requests.ts")).requests(handler),
  };
}

export const http: Bench = {
  name: "http",
  summary: "a command over HTTP on 64 kept-alive connections, beside an empty handler on the same server",
  groups: [
    {
      name: "http",
      subjects: [
        subject("gateway, command", "command"),
        subject("gateway, command, with a view", "command, with a view"),
        subject("gateway, empty handler", "gateway, empty"),
        subject("hono, empty handler", "hono, empty"),
        subject("node:http, constant answer", "bare"),
      ],
    },
  ],
  claims: [
    {
      label: "http",
      basis: "commands/s by requests/s of an empty handler in the gateway, which parses and validates the same body",
      floor: 0.5,
      ratio: (median) => median("gateway, command/rate") / median("gateway, empty handler/rate"),
    },
    {
      label: "http, bare stack",
      basis: "commands/s by requests/s of the same empty handler without the gateway",
      floor: 0.5,
      ratio: (median) => median("gateway, command/rate") / median("hono, empty handler/rate"),
    },
  ],
};
