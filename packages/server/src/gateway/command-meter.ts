/** Counts one command's outcomes and times. Plain fields: a counter of the metrics library would cost more than the rest of a request's bookkeeping, so its text is made when it is asked for. */
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** `invalid`: the request was at fault; `failed`: the server or its store was. */
export type CommandResult = "accepted" | "repeated" | "rejected" | "conflict" | "invalid" | "failed";

export class CommandMeter {
  readonly entity: string;
  readonly command: string;
  readonly counts: Record<CommandResult, number> = { accepted: 0, repeated: 0, rejected: 0, conflict: 0, invalid: 0, failed: 0 };
  /** Microseconds. */
  readonly durations: RecordableHistogram = createHistogram();

  constructor(entity: string, command: string) {
    this.entity = entity;
    this.command = command;
  }

  record(result: CommandResult, elapsedMs: number): void {
    this.counts[result]++;
    this.durations.record(Math.max(1, Math.round(elapsedMs * 1000)));
  }
}
