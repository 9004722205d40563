/** The shortest channel: another service's log in the same process. */
import type { Log } from "../log/log.ts";
import type { LogSource } from "../log/source.ts";

/** Where the events of some entities come from. */
export interface Channel {
  readonly source: LogSource;
  /** Names of the entities whose events it carries. */
  readonly entities: readonly string[];
}

/** A channel onto a log of this process. */
export function inProcessChannel(log: Log, entities: readonly string[]): Channel {
  return { source: log, entities };
}
