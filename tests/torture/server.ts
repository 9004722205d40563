/**
 * The server process of the torture: the bank on a store, behind a gateway on a free port of this machine. Started
 * by fork and warm before it is needed: it loads everything, and opens the store when it is told to.
 */
import { flushCompileCache } from "node:module";
import { serve } from "@convergent/server";
import { isConvergentError, runtimeOf } from "convergent";
import { type HeldView, heldViews } from "convergent/simulator";
import { bank } from "../simulations/bank.ts";
import { driverOf, type StoreAt } from "./stores.ts";

/** What it is told. Questions are answered with their number. */
export type Order =
  | { readonly do: "start"; readonly at: StoreAt; readonly life: number; readonly server: number }
  | { readonly do: "ask"; readonly number: number; readonly what: keyof Answers }
  | { readonly do: "stop" };

/** How far a reader is. */
export interface ReaderAt {
  readonly name: string;
  readonly version: number;
  readonly state: string;
  readonly position: number;
  readonly failure?: string;
}

/** A slot of a reader, as its row says. */
export interface SlotRow {
  readonly reader: string;
  readonly version: number;
  readonly slot: number;
  readonly source: string;
  readonly position: number;
}

/** What can be asked. `readers` is asked again and again, and costs the store nothing. */
export interface Answers {
  readonly head: number;
  readonly readers: readonly ReaderAt[];
  readonly slots: readonly SlotRow[];
  readonly views: readonly HeldView[];
}

/** What it says. */
export type Said =
  | { readonly kind: "warm" }
  | { readonly kind: "serving"; readonly port: number }
  | { readonly kind: "failed"; readonly code: string; readonly message: string }
  | { readonly kind: "answer"; readonly number: number; readonly value?: Answers[keyof Answers]; readonly error?: string }
  /** Something that must not happen. */
  | { readonly kind: "complaint"; readonly message: string }
  | { readonly kind: "mark"; readonly name: string };

type Bank = Awaited<ReturnType<ReturnType<typeof bank>["start"]>>;

let running: Bank | undefined;
let stop = async (): Promise<void> => undefined;

function say(said: Said): void {
  process.send?.(said);
}

async function start({ at, life, server }: Extract<Order, { do: "start" }>): Promise<void> {
  const started = await bank({ life, server, fails: () => false }).start({
    store: driverOf(at),
    onFork: ({ fork }) =>
      say({ kind: "complaint", message: `the store takes itself for an older copy that ends at ${fork}, and nobody replaced it` }),
    onParked: ({ reader, key }) => say({ kind: "complaint", message: `${reader} parked the order key "${key}", and no handler fails` }),
    onStuck: () => say({ kind: "mark", name: "reader stuck" }),
    onRebuild: ({ kind }) => say({ kind: "mark", name: `rebuild ${kind}` }),
  });
  running = started;
  const served = await serve({ services: [started], port: 0 });
  stop = async () => {
    await served.close();
    await started.stop();
  };
  say({ kind: "serving", port: served.port });
}

async function answer(what: keyof Answers): Promise<Answers[keyof Answers]> {
  if (!running) throw new Error("nothing is started");
  const runtime = runtimeOf(running);
  switch (what) {
    case "views":
      return runtime.log.snapshot(heldViews);
    case "slots": {
      const rows = await runtime.log.snapshot((tx) => tx.checkpoints());
      return rows.map(({ reader, version, slot, source, position }) => ({ reader, version, slot, source, position }));
    }
    case "head": {
      const sources = new Set(runtime.readers().map(({ source }) => source));
      const heads = await Promise.all([...sources].map((source) => source.head()));
      return Math.max(...heads.map(({ position }) => position));
    }
    case "readers":
      return runtime.readers().map(({ name, version, state, position, failure }) => ({
        name,
        version,
        state,
        position,
        ...(failure ? { failure: failure.message } : {}),
      }));
  }
}

async function obey(order: Order): Promise<void> {
  switch (order.do) {
    case "start":
      return start(order);
    case "ask": {
      const { number, what } = order;
      await answer(what).then(
        (value) => say({ kind: "answer", number, value }),
        (error: unknown) => say({ kind: "answer", number, error: String(error) }),
      );
      return;
    }
    case "stop":
      await stop();
      process.disconnect();
  }
}

// Ctrl-C reaches every process of the terminal; whoever started this one decides what it means.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => process.exit());
process.on("message", (order: Order) => {
  obey(order).catch((error: unknown) => {
    const code = isConvergentError(error) ? error.code : "";
    say({ kind: "failed", code, message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
});
// Who is killed writes no cache at its end, and starting would cost twice the time (0.4 against 0.8 s of CPU).
flushCompileCache();
say({ kind: "warm" });
