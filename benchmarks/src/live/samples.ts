// Samples of the live bench: a server in a process of its own, and here those who watch.
import { join } from "node:path";
import { live } from "convergent";
import type { SubjectCode } from "../bench.ts";
import { customers } from "../convergent/watched.ts";
import { forkWorker, type Worker } from "../harness/fork-worker.ts";
import { openRaw, type RawSocket } from "./raw-socket.ts";
import type { Kind, Order } from "./serve.ts";

const watchers = 1_000;
const crowd = 5_000;

/** Mean size of the messages that a saga's watchers are sent. */
const messageBytes = 2_050;
/** Messages of one run of the saga to one watcher. */
const messagesEach = 42;

function serving(
  kind: Kind,
  directory: string,
): { readonly worker: Worker; readonly port: Promise<number>; ask<T>(order: Order): Promise<T> } {
  const worker = forkWorker(join(import.meta.dirname, "serve.ts"), [kind, directory]);
  return {
    worker,
    port: worker.hear<number>(),
    ask: <T>(order: Order) => {
      worker.say(order);
      return worker.hear<T>();
    },
  };
}

async function all<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  // A hundred at a time: the queue of a listening socket is no part of what is measured.
  for (let from = 0; from < count; from += 100)
    opened.push(...(await Promise.all(Array.from({ length: Math.min(100, count - from) }, (_, index) => open(from + index)))));
  return opened;
}

/** Figures: `rate` in messages/s, `bytes` a message. */
export const sagaFanOut: SubjectCode = {
  sample: async ({ directory, boxMs }) => {
    const { worker, port, ask } = serving("convergent", directory);
    let messages = 0;
    let bytes = 0;
    let ended = 0;
    let resolveEnd: () => void = () => undefined;
    const sockets = await all(watchers, async () =>
      openRaw({
        port: await port,
        path: "/live",
        protocol: live.subprotocol,
        heard: (payload) => {
          messages++;
          const text = payload();
          bytes += text.length;
          if (text.includes('"status":"completed"') && ++ended === watchers) resolveEnd();
        },
      }),
    );
    let spentMs = 0;
    const startedAt = performance.now();
    let counted = 0;
    for (let run = 0; performance.now() - startedAt < boxMs; run++) {
      const id = `p-${run}`;
      await ask({ start: id });
      ended = 0;
      const isOver = new Promise<void>((resolve) => (resolveEnd = resolve));
      for (const socket of sockets) {
        if (run > 0) socket.send(JSON.stringify({ unwatch: run - 1 }));
        socket.send(JSON.stringify({ watch: { id: run, saga: "parcel", key: id } }));
      }
      await settled(() => messages);
      messages = 0;
      bytes = run === 0 ? 0 : bytes;
      const before = performance.now();
      await ask({ run: id });
      await isOver;
      // The first run warms up.
      if (run > 0) {
        spentMs += performance.now() - before;
        counted += messages;
      }
    }
    worker.stop();
    return { rate: counted / (spentMs / 1_000), bytes: bytes / counted };
  },
};

/** Resolves when a number has stopped growing. */
async function settled(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); ) {
    before = count();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Figures: `rate` in messages/s, `bytes` a message. */
export const bareFanOut: SubjectCode = {
  sample: async ({ directory, boxMs }) => {
    const { worker, port, ask } = serving("bare", directory);
    let messages = 0;
    let resolveEnd: () => void = () => undefined;
    await all(watchers, async () =>
      openRaw({
        port: await port,
        path: "/",
        protocol: "any",
        heard: (payload) => {
          payload();
          if (++messages === watchers * messagesEach) resolveEnd();
        },
      }),
    );
    let spentMs = 0;
    let counted = 0;
    const startedAt = performance.now();
    for (let run = 0; performance.now() - startedAt < boxMs; run++) {
      messages = 0;
      const isOver = new Promise<void>((resolve) => (resolveEnd = resolve));
      const before = performance.now();
      await ask({ length: messageBytes, times: messagesEach });
      await isOver;
      if (run > 0) {
        spentMs += performance.now() - before;
        counted += messages;
      }
    }
    worker.stop();
    return { rate: counted / (spentMs / 1_000), bytes: messageBytes };
  },
};

const pageOf = (customer: number): object => ({ view: "order-summary", where: { customer: `customer-${customer}` } });

/** What a client says that comes back, `from` where it was, and whether what it hears is what it came for. */
interface Comer {
  readonly kind: Kind;
  readonly path: string;
  readonly says: (index: number, from: string | undefined) => object;
  readonly hears: (text: string) => { readonly from?: string } | undefined;
}

function watcher(from: "where it was" | "nothing"): Comer {
  return {
    kind: "convergent, seeded",
    path: "/live",
    says: (index, cursor) => ({
      watch: { id: 1, ...pageOf(index), ...(cursor === undefined || from === "nothing" ? {} : { from: cursor }) },
    }),
    hears: (text) => {
      const cursor = /"cursor":"([^"]+)"/.exec(text)?.[1];
      return cursor === undefined ? undefined : { from: cursor };
    },
  };
}

/** Figure: `ms` until all clients that were cut have connected again and heard what they came for. */
function comingBack({ kind, path, says, hears }: Comer): SubjectCode {
  return {
    sample: async ({ directory, boxMs }) => {
      const { worker, port } = serving(kind, directory);
      const at = await port;
      const known = new Map<number, string>();
      const come = (index: number): Promise<RawSocket> =>
        new Promise((resolve, reject) => {
          let socket: RawSocket | undefined;
          openRaw({
            port: at,
            path,
            protocol: live.subprotocol,
            heard: (payload) => {
              const heard = hears(payload());
              if (!heard || !socket) return;
              if (heard.from !== undefined) known.set(index, heard.from);
              resolve(socket);
            },
          }).then((opened) => {
            socket = opened;
            opened.send(JSON.stringify(says(index, known.get(index))));
          }, reject);
        });
      let sockets = await all(customers, come);
      const times: number[] = [];
      const startedAt = performance.now();
      while (performance.now() - startedAt < boxMs) {
        for (const socket of sockets) socket.end();
        await new Promise((resolve) => setTimeout(resolve, 200));
        const before = performance.now();
        sockets = await all(customers, come);
        times.push(performance.now() - before);
      }
      worker.stop();
      return { ms: median(times) };
    },
  };
}

export const resumed: SubjectCode = comingBack(watcher("where it was"));
/** They are told their pages whole. */
export const watchedAnew: SubjectCode = comingBack(watcher("nothing"));
/** A handshake of the bare library, and a word to and fro. */
export const bareComing: SubjectCode = comingBack({ kind: "bare", path: "/", says: () => ({}), hears: () => ({}) });

/** Figure: `ms` until all clients that were cut have connected again and read all that they show. */
export const readAgain: SubjectCode = {
  sample: async ({ directory, boxMs }) => {
    const { worker, port } = serving("convergent, seeded", directory);
    const at = await port;
    const { connect } = await import("node:net");
    const read = (index: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const socket = connect({ port: at, host: "127.0.0.1" });
        let text = "";
        socket.setEncoding("latin1");
        socket.on("error", reject);
        socket.write(`GET /views/order-summary?customer=customer-${index} HTTP/1.1\r\nhost: 127.0.0.1:${at}\r\n\r\n`);
        socket.on("data", (chunk: string) => {
          text += chunk;
          const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text) ?? [];
          if (length === undefined || text.length < text.indexOf("\r\n\r\n") + 4 + Number(length)) return;
          socket.destroy();
          if (text.startsWith("HTTP/1.1 200")) resolve();
          else reject(new Error(text));
        });
      });
    await all(customers, read);
    const times: number[] = [];
    const startedAt = performance.now();
    while (performance.now() - startedAt < boxMs) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      const before = performance.now();
      await all(customers, read);
      times.push(performance.now() - before);
    }
    worker.stop();
    return { ms: median(times) };
  },
};

/** Figures: what the server holds for each of 5,000 connections with one watch, in kB, of memory in all and of its heap. */
export const connectionMemory: SubjectCode = {
  sample: async ({ directory }) => {
    const { worker, port, ask } = serving("convergent", directory);
    const at = await port;
    await ask({ start: "p-1" });
    const come = async (): Promise<RawSocket> => {
      const socket = await openRaw({ port: at, path: "/live", protocol: live.subprotocol, heard: () => undefined });
      socket.send(JSON.stringify({ watch: { id: 1, saga: "parcel", key: "p-1" } }));
      return socket;
    };
    // What the first connections bring along is no connection's own.
    const first = await all(500, come);
    for (const socket of first) socket.end();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const before = await ask<{ heap: number; rss: number }>({ held: true });
    await all(crowd, come);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const after = await ask<{ heap: number; rss: number }>({ held: true });
    worker.stop();
    return { rss: ((after.rss - before.rss) * 1e3) / crowd, heap: ((after.heap - before.heap) * 1e3) / crowd };
  },
};

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
