/** A history as a person reads it: a line for what was asked and answered, for each fault, and for each process that began or died. */
import type { Checkpointed, HistoryRecord, Invoked, WatchAsked, WatchTold } from "./history.ts";

/** Characters of an input, a state or a document that are shown. */
const shownMax = 160;

/** The lines of a history; of bulk (events, documents, checkpoints) there is only what moved. */
export function traceOf(history: readonly HistoryRecord[]): string[] {
  const invoked = new Map<number, Invoked>();
  const watches = new Map<number, WatchAsked>();
  let slots: number[] = [];
  return history.flatMap((record, index) => {
    if (record.kind === "invoke") invoked.set(record.op, record);
    if (record.kind === "checkpoint") {
      // A commit of many slots is one line.
      slots.push(record.slot);
      if (isSameCommit(record, history[index + 1])) return [];
      const line = `${record.reader} v${record.version} commits ${slotsText(slots)} at ${record.position}`;
      slots = [];
      return [timed(record.t, line)];
    }
    if (record.kind === "watch") watches.set(record.watch, record);
    const text = lineOf(
      record,
      "op" in record ? invoked.get(record.op) : undefined,
      "watch" in record ? watches.get(record.watch) : undefined,
    );
    return text === undefined ? [] : [timed("t" in record ? record.t : undefined, text)];
  });
}

function timed(t: number | undefined, text: string): string {
  return `${t === undefined ? "" : t.toFixed(1).padStart(10)} ms  ${text}`;
}

function isSameCommit(record: Checkpointed, next: HistoryRecord | undefined): boolean {
  if (next?.kind !== "checkpoint" || next.t !== record.t) return false;
  return (["store", "reader", "version", "position"] as const).every((field) => next[field] === record[field]);
}

function slotsText(slots: readonly number[]): string {
  const [first, ...others] = slots;
  return others.length === 0 ? `its slot ${first}` : `its slots ${first}–${others.at(-1)}`;
}

function lineOf(record: HistoryRecord, begun: Invoked | undefined, watch: WatchAsked | undefined): string | undefined {
  switch (record.kind) {
    case "invoke":
      return `${record.session} asks ${askedOf(record)}${short(record.input)}${record.asked ? " with its token" : ""}`;
    case "fail":
      return `${begun?.session ?? ""} is refused (${record.code}) ${askedOf(begun)}`;
    case "ok":
      return `${begun?.session ?? ""} is answered ${askedOf(begun)}: ${answerOf(record)}`;
    case "fault":
      return `fault: ${record.fault}`;
    case "connection":
      return `${record.session} ${record.what === "opened" ? `has a connection to ${record.process}` : `has a connection less (${record.code})`}`;
    case "watch":
      return `${record.session} watches ${watchOf(record)}${record.from === undefined ? "" : " from a cursor"}${record.asked ? " with its token" : ""}`;
    case "verdict":
      return `${watchedBy(watch)} is told: ${record.reset === undefined ? "resumed" : `reset (${record.reset})`}`;
    case "told":
      return `${watchedBy(watch)} is told${toldOf(record)} as of ${record.asOf}${record.fresh ? "" : ", not fresh"}`;
    case "unwatch":
      return `${watchedBy(watch)} ${record.code === undefined ? "is left" : `is ended (${record.code})`}`;
    case "power":
      return `the power of ${record.store} is cut`;
    case "life":
      return `${record.process} ${record.what}`;
    case "lineage":
      return record.lineage === 0 ? undefined : `${record.store} is replaced by an older copy, which ends at ${record.kept}`;
    case "settled":
      return record.behind.length === 0 ? "everything has settled" : `not settled: ${record.behind.join("; ")}`;
    case "checkpoint":
    case "lease":
    case "event":
    case "commit":
    case "epochs":
    case "id":
    case "held":
      return undefined;
  }
}

function watchOf({ watch, name, key, where }: WatchAsked): string {
  return `${watch} ${name}${key === "" ? `(${JSON.stringify(where ?? {})})` : `("${key}")`}`;
}

function watchedBy(watch: WatchAsked | undefined): string {
  return watch ? `${watch.session}, watching ${watchOf(watch)},` : "?";
}

function toldOf({ value, saga, version, changed, gone, keys }: WatchTold): string {
  if (saga) return ` ${saga.status}, version ${version}`;
  if (value !== undefined) return short(JSON.stringify(value));
  return changed ? short(JSON.stringify({ changed, gone, keys })) : " nothing new";
}

function askedOf(begun: Invoked | undefined): string {
  if (!begun) return "?";
  const key = begun.key === "" ? "" : `("${begun.key}")`;
  const command = begun.command === undefined ? "" : `.${begun.command}`;
  return `${begun.op} ${begun.name}${key}${command}`;
}

function answerOf(record: Extract<HistoryRecord, { kind: "ok" }>): string {
  switch (record.what) {
    case "command":
      return `version ${record.version}, positions ${record.events.map(({ position }) => position).join(", ")}${short(JSON.stringify(record.state))}${record.repeated ? ", again" : ""}`;
    case "document":
      return `${short(JSON.stringify(record.value)).trim()} as of ${record.asOf}${record.fresh ? "" : ", not fresh"}${record.parked ? ", parked" : ""}`;
    case "state":
      return `${short(JSON.stringify(record.state)).trim()} at version ${record.version}`;
    case "saga":
      return `${record.state.status}, version ${record.version}: ${record.state.steps.map(({ name, state }) => `${name} ${state}`).join(", ")}`;
    case "tell":
      return `position ${record.position}${record.repeated ? ", again" : ""}`;
    case "other":
      return "done";
  }
}

function short(text: string | undefined): string {
  if (text === undefined) return "";
  return text.length <= shownMax ? ` ${text}` : ` ${text.slice(0, shownMax)}…`;
}
