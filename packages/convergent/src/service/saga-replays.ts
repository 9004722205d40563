/** Stored sagas run against the code of a service, without effects: what a new release would make of those that there are. */
import { ConvergentError } from "../errors/error.ts";
import { EventCodec } from "../log/codec.ts";
import { streamOf } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { origin, type Position } from "../position/position.ts";
import { factOf } from "../sagas/facts.ts";
import { isUnfinished, replaySaga, type SagaDifference } from "../sagas/replaying.ts";
import type { AnySaga } from "../sagas/saga.ts";
import type { AnyService } from "./service.ts";

/** Events read, and sagas replayed, at a time. */
const pageEvents = 500;
const sagasAtOnce = 32;

/** Which sagas are replayed, and who is told how far that is. */
export interface ReplayOptions {
  /** Sagas of this name only. */
  readonly saga?: string;
  /** The saga with this id only. */
  readonly id?: string;
  /** Only those that have not ended, or are parked. */
  readonly runningOnly?: boolean;
  /** Told how far the log was read. */
  readonly progress?: (reached: { readonly done: number; readonly of: number }) => void;
}

/** A saga that was replayed. */
export interface ReplayedSaga {
  readonly saga: string;
  readonly id: string;
  /** Of the definition that it was started with. */
  readonly version: number;
  /** Absent when the code does what history says. */
  readonly difference?: SagaDifference;
}

/**
 * Each saga of a log, in the order in which they were started, and the first step at which the code of the service does something else than
 * history says. Scripts are run, steps are not. Throws `not_found` for a name that is no saga of the service.
 */
export async function* replaySagas(
  { name, parts }: Pick<AnyService, "name" | "parts">,
  log: Log,
  { saga, id, runningOnly = false, progress = () => undefined }: ReplayOptions = {},
): AsyncGenerator<ReplayedSaga, void, undefined> {
  const all = Object.values(parts).filter((part) => part.kind === "saga");
  const chosen = saga === undefined ? all : all.filter((part) => part.name === saga);
  if (chosen.length === 0 && saga !== undefined)
    throw new ConvergentError(
      "not_found",
      `"${saga}" is no saga of the service "${name}"; it has ${all.map((part) => part.name).join(", ") || "none"}`,
    );
  const byType = new Map(chosen.map((definition) => [`${definition.name}.started`, definition]));
  const types = [...byType.keys()];
  const head = (await log.head()).position;
  for (let after: Position = origin; after < head && types.length > 0; ) {
    const { events, scanned } = await log.read({ after, limit: pageEvents, types });
    const ids = events
      .map(({ type, stream }) => ({ definition: byType.get(type) as AnySaga, id: stream.slice(stream.indexOf("/") + 1) }))
      .filter((each) => id === undefined || each.id === id);
    for (let first = 0; first < ids.length; first += sagasAtOnce) {
      const replayed = await Promise.all(ids.slice(first, first + sagasAtOnce).map((each) => oneReplayed(log, each, runningOnly)));
      yield* replayed.filter((each) => each !== undefined);
    }
    if (scanned === after) break;
    after = scanned;
    progress({ done: Math.min(after, head), of: head });
  }
}

async function oneReplayed(
  log: Log,
  { definition, id }: { readonly definition: AnySaga; readonly id: string },
  runningOnly: boolean,
): Promise<ReplayedSaga | undefined> {
  const codec = new EventCodec([definition.entity], log);
  const history = (await log.stream(streamOf(definition.name, id))).map(codec.decode).map(factOf);
  if (runningOnly && !isUnfinished(history)) return undefined;
  const [started] = history;
  const version = started?.name === "started" ? started.data.version : definition.version;
  const difference = await replaySaga(log, { definition, id, history });
  return { saga: definition.name, id, version, ...(difference ? { difference } : {}) };
}
