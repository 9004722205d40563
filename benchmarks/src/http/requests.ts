// One sample of the http bench: a server in a process of its own, and here the load.
import { join } from "node:path";
import type { SubjectCode } from "../bench.ts";
import { type CommandHandler, documents, pathOf, type ReadHandler, readPathOf } from "../convergent/gateway.ts";
import { forkWorker } from "../harness/fork-worker.ts";
import { orderPlaced } from "../workload.ts";
import { load, type LoadRequest } from "./load.ts";

const connections = 64;
const warmUpMs = 1_500;

/** Figures: `rate` in requests/s, `cpu` in µs a request; each places an order of its own, under an idempotency key of its own. */
export function requests(handler: CommandHandler | "bare"): SubjectCode {
  return sampled(handler, (index) => ({
    path: pathOf(handler, `order-${index}`),
    headers: { "idempotency-key": `request-${index}` },
    body: JSON.stringify(orderPlaced(index)),
  }));
}

/** Figures: `rate` in requests/s, `cpu` in µs a request; each reads one of the documents. */
export function reads(handler: ReadHandler | "bare"): SubjectCode {
  return sampled(handler, (index) => ({ path: readPathOf(handler, `order-${index % documents}`) }));
}

function sampled(handler: string, request: (index: number) => LoadRequest): SubjectCode {
  return {
    async sample({ directory, boxMs }) {
      const worker = forkWorker(join(import.meta.dirname, "serve.ts"), [handler, directory]);
      const port = await worker.hear<number>();
      let next = 0;
      const drive = (ms: number): Promise<number> => load({ port, connections, boxMs: ms, request: () => request(next++) });
      const spentUs = (): Promise<number> => {
        worker.say("what have you spent?");
        return worker.hear<number>();
      };
      await drive(warmUpMs);
      const before = await spentUs();
      const rate = await drive(boxMs);
      const spent = (await spentUs()) - before;
      worker.stop();
      return { rate, cpu: spent / (rate * (boxMs / 1_000)) };
    },
  };
}
