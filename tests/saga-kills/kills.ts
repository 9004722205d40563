// Kills the process that runs hundreds of sagas, again and again, and judges what the log says once the last one could finish.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Log, type StoredEvent } from "convergent";
import { storeKind } from "../contracts/stores/store-kinds.ts";
import { violations } from "./judge.ts";
import type { Orders } from "./process.ts";

/** The last process brings everything to its end; when none has ended for so long, those that are left never will. */
const standstillMs = 60_000;
const pageEvents = 5_000;

export interface Plan {
  readonly kind: string;
  readonly place: string;
  readonly kills: number;
  /** That each process starts beside those that it takes over. */
  readonly sagas: number;
  /** A number from 0 (included) to 1 (excluded). */
  readonly fraction: () => number;
  readonly said?: (line: string) => void;
}

export interface Outcome {
  readonly kills: number;
  readonly started: number;
  readonly completed: number;
  readonly compensated: number;
  /** Times that a saga was taken over. */
  readonly taken: number;
  readonly violations: readonly string[];
}

export async function killed({ kind, place, kills, sagas, fraction, said = () => undefined }: Plan): Promise<Outcome> {
  const started: string[] = [];
  for (let kill = 1; kill <= kills; kill++) {
    const one = run({ kind, place, first: (kill - 1) * sagas, count: sagas }, started);
    await one.first;
    // While it starts them, while they wait for their timers, and while the former one's are taken over.
    await new Promise((resolve) => setTimeout(resolve, 50 + 1_800 * fraction()));
    one.kill();
    await one.ended;
    said(`kill ${kill} of ${kills}: ${started.length} started`);
  }
  const last = run({ kind, place, first: 0, count: 0 }, started);
  await last.all;
  const log = await Log.open(storeKind(kind).driver(place), "orders");
  try {
    let events = await eventsOf(log);
    let movedAt = performance.now();
    for (let unfinished = open(events); unfinished > 0 && performance.now() < movedAt + standstillMs; ) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      events = await eventsOf(log);
      const left = open(events);
      if (left < unfinished) movedAt = performance.now();
      unfinished = left;
    }
    last.tell();
    await last.ended;
    const count = (name: string): number => events.filter(({ type }) => type === `transfer.${name}`).length;
    return {
      kills,
      started: started.length,
      completed: count("completed"),
      compensated: count("compensated"),
      taken: count("taken"),
      violations: violations(events, started),
    };
  } finally {
    await log.close();
  }
}

function open(events: readonly StoredEvent[]): number {
  const ends = new Set(["transfer.completed", "transfer.compensated", "transfer.parked"]);
  return events.filter(({ type }) => type === "transfer.started").length - events.filter(({ type }) => ends.has(type)).length;
}

async function eventsOf(log: Log): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  const { position } = await log.head();
  for (;;) {
    const page = await log.read({ after: events.at(-1)?.position ?? (0 as StoredEvent["position"]), limit: pageEvents });
    events.push(...page.events);
    if (page.events.length === 0 || (events.at(-1) as StoredEvent).position >= position) return events;
  }
}

interface Process {
  /** Resolves when the first saga was acknowledged, and when all were. */
  readonly first: Promise<void>;
  readonly all: Promise<void>;
  readonly ended: Promise<void>;
  kill(): void;
  tell(): void;
}

function run(orders: Orders, started: string[]): Process {
  const child = spawn(
    process.execPath,
    ["--conditions=convergent-source", join(import.meta.dirname, "process.ts"), JSON.stringify(orders)],
    { stdio: "pipe" },
  );
  let complaint = "";
  let wasTold = false;
  child.stderr.on("data", (text: Buffer) => (complaint += text.toString()));
  child.stdin.on("error", () => undefined);
  const ended = new Promise<void>((resolve, reject) =>
    child.on("close", (code, signal) =>
      wasTold && (signal === "SIGKILL" || code === 0)
        ? resolve()
        : reject(new Error(`it ended by itself: ${code ?? signal}\n${complaint}`)),
    ),
  );
  ended.catch(() => undefined);
  let isFirst: () => void = () => undefined;
  let areAll: () => void = () => undefined;
  const first = new Promise<void>((resolve) => (isFirst = resolve));
  const all = new Promise<void>((resolve) => (areAll = resolve));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = JSON.parse(line) as { started?: number; all?: number };
    if (said.started !== undefined) started.push(`t-${said.started}`);
    isFirst();
    if (said.all !== undefined) areAll();
  });
  const end = (how: () => void): void => {
    wasTold = true;
    how();
  };
  return {
    first: Promise.race([first, ended]),
    all: Promise.race([all, ended]),
    ended,
    kill: () => end(() => void child.kill("SIGKILL")),
    tell: () => end(() => void child.stdin.write("\n")),
  };
}
