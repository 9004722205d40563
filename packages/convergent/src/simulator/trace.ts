/** A history as a person reads it: a line for what was asked and answered, for each fault, and for each process that began or died. */
import type { HistoryRecord, Invoked } from "./history.ts";

/** The lines of a history; of bulk (events, documents, checkpoints) there is only what moved. */
export function traceOf(history: readonly HistoryRecord[]): string[] {
  const invoked = new Map<number, Invoked>();
  return history.flatMap((record) => {
    if (record.kind === "invoke") invoked.set(record.op, record);
    const text = lineOf(record, "op" in record ? invoked.get(record.op) : undefined);
    const t = "t" in record ? record.t : undefined;
    return text === undefined ? [] : [`${t === undefined ? "" : t.toFixed(1).padStart(10)} ms  ${text}`];
  });
}

function lineOf(record: HistoryRecord, begun: Invoked | undefined): string | undefined {
  switch (record.kind) {
    case "invoke":
      return `${record.session} asks ${askedOf(record)}`;
    case "fail":
      return `${begun?.session ?? ""} is refused (${record.code}) ${askedOf(begun)}`;
    case "ok":
      return `${begun?.session ?? ""} is answered ${askedOf(begun)}: ${answerOf(record)}`;
    case "checkpoint":
      return `${record.reader} v${record.version} commits its slot ${record.slot} at ${record.position}`;
    case "fault":
      return `fault: ${record.fault}`;
    case "power":
      return `the power of ${record.store} is cut`;
    case "life":
      return `${record.process} ${record.what}`;
    case "lineage":
      return record.lineage === 0 ? undefined : `${record.store} is replaced by an older copy, which ends at ${record.kept}`;
    case "settled":
      return record.behind.length === 0 ? "everything has settled" : `not settled: ${record.behind.join("; ")}`;
    case "event":
    case "epochs":
    case "id":
    case "held":
      return undefined;
  }
}

function askedOf(begun: Invoked | undefined): string {
  if (!begun) return "?";
  const command = begun.command === undefined ? "" : `.${begun.command}`;
  return `${begun.op} ${begun.name}("${begun.key}")${command}${begun.asked ? " with its token" : ""}`;
}

function answerOf(record: Extract<HistoryRecord, { kind: "ok" }>): string {
  switch (record.what) {
    case "command":
      return `version ${record.version}, positions ${record.events.map(({ position }) => position).join(", ")}${record.repeated ? ", again" : ""}`;
    case "document":
      return `${JSON.stringify(record.value)} as of ${record.asOf}${record.fresh ? "" : ", not fresh"}${record.parked ? ", parked" : ""}`;
    case "state":
      return `${JSON.stringify(record.state)} at version ${record.version}`;
    case "other":
      return "done";
  }
}
