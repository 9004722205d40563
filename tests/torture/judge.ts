/** What came of a chapter: its store is opened by nobody but us, what it holds is added to the history, and the checkers read that. */
import { checkHistory, dumpLog, type HeldView, heldViews, type HistoryRecord, type LogDump, type Violation } from "convergent/simulator";
import { bank } from "../simulations/bank.ts";
import { driverOf, type StoreAt } from "./stores.ts";

export interface Judgement {
  readonly violations: readonly Violation[];
  /** Commands that nobody answered, by whether they took effect. */
  readonly unknown: { readonly took: number; readonly tookNot: number };
  readonly events: number;
}

export interface JudgeOptions {
  /** What was said in the meantime. */
  readonly complaints: readonly Violation[];
  readonly now: () => number;
}

export async function judge(history: HistoryRecord[], at: StoreAt, { complaints, now }: JudgeOptions): Promise<Judgement> {
  let dump: LogDump & { readonly views: readonly HeldView[] };
  try {
    dump = await dumpOf(at);
  } catch (error) {
    const violation = { checker: "store", message: `the store cannot be read any more: ${String(error)}` };
    return { violations: [...complaints, violation], unknown: { took: 0, tookNot: 0 }, events: 0 };
  }
  const { events, epochs, ids, views } = dump;
  for (const held of views) history.push({ kind: "held", t: now(), store: "bank", lineage: 0, ...held });
  for (const event of events) history.push({ kind: "event", store: "bank", lineage: 0, event });
  for (const { scope, id, stream, firstVersion, lastVersion, position } of ids)
    history.push({ kind: "id", store: "bank", lineage: 0, scope, id, stream, firstVersion, lastVersion, position });
  history.push({ kind: "epochs", store: "bank", epochs });
  return {
    violations: [...complaints, ...violationsOf(history, dump)],
    unknown: unknownOf(history, dump),
    events: events.length,
  };
}

/** What the promises rule out and a history of the bank shows, with what a bank has to keep beside them. */
function violationsOf(history: readonly HistoryRecord[], { events, epochs }: LogDump): Violation[] {
  const releases = [1, 9].map((life) => bank({ life, server: 0, fails: () => false }));
  const begun =
    epochs.length === 1 ? [] : [{ checker: "epochs", message: `the store has ${epochs.length} epochs, and nobody restored it` }];
  return [...checkHistory(history, releases), ...begun, ...money(events)];
}

/** All that was sent was received, once. */
function money(events: LogDump["events"]): Violation[] {
  const under = new Map<string, number>();
  for (const { type, stream, data } of events) {
    const { from, to, amount } = JSON.parse(data) as { from?: string; to?: string; amount?: number };
    const account = stream.slice(stream.indexOf("/") + 1);
    const [way, by] = type === "account.sent" ? [`${account} to ${to}`, 1] : [`${from} to ${account}`, -1];
    if (type === "account.sent" || type === "account.received")
      under.set(`${amount} from ${way}`, (under.get(`${amount} from ${way}`) ?? 0) + by);
  }
  return [...under].flatMap(([what, count]) => {
    if (count === 0) return [];
    return [{ checker: "money", message: `${what} was ${count > 0 ? "sent and not received" : "received more often than it was sent"}` }];
  });
}

function unknownOf(history: readonly HistoryRecord[], { events }: LogDump): Judgement["unknown"] {
  const open = new Map<number, string>();
  for (const record of history) {
    if (record.kind === "invoke" && record.what === "command" && record.id !== undefined) open.set(record.op, record.id);
    else if (record.kind === "ok" || record.kind === "fail") open.delete(record.op);
  }
  const causes = new Set(events.map(({ metadata }) => (JSON.parse(metadata) as { cause?: string }).cause));
  const took = [...open.values()].filter((id) => causes.has(id)).length;
  return { took, tookNot: open.size - took };
}

async function dumpOf(at: StoreAt): Promise<LogDump & { readonly views: readonly HeldView[] }> {
  const store = await driverOf(at).open({ name: "bank" });
  try {
    return await store.read(async (tx) => ({ ...(await dumpLog(tx)), views: await heldViews(tx) }));
  } finally {
    await store.close();
  }
}
