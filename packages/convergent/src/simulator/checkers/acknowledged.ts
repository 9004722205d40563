/**
 * L2 and L4: what was acknowledged is in the log, at the place that the answer named, unless an older copy took the place
 * of the store since; what was answered by nobody is there once or not at all, and so is everything else; what was refused,
 * and came once, is not there. And L1: what begins after something was acknowledged comes behind it.
 */
import type { StoredEvent } from "../../log/event.ts";
import type { CommandOk, HistoryRecord, Invoked, Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";

interface Command extends Invoked {
  readonly id: string;
}

export function checkAcknowledged(
  history: Iterable<HistoryRecord>,
  lineages: Lineages,
  storeOf: (name: string) => string | undefined,
): Violation[] {
  const found: Violation[] = [];
  const violation = (message: string): number => found.push({ checker: "acknowledged", message });
  const commands = new Map<number, Command>();
  const effects = new Effects(lineages);
  /** Of each store the highest position that was acknowledged by now, and in which lineage. */
  const highest = new Map<string, { readonly lineage: number; readonly position: number }>();
  /** What that was when an operation began. */
  const before = new Map<number, { readonly lineage: number; readonly position: number }>();
  for (const record of history) {
    if (record.kind === "invoke" && record.what === "command" && record.id !== undefined) {
      commands.set(record.op, record as Command);
      const known = highest.get(storeOf(record.name) ?? "");
      if (known) before.set(record.op, known);
      continue;
    }
    if (record.kind === "fail") {
      const command = commands.get(record.op);
      if (command && record.arrivals <= 1 && effects.of(command.id).length > 0)
        violation(`${nameOf(command)} was refused (${record.code}) and came once, and yet its events are in the log`);
      continue;
    }
    if (record.kind !== "ok" || record.what !== "command") continue;
    const command = commands.get(record.op);
    const store = storeOf(command?.name ?? "");
    if (!command || store === undefined || record.events.length === 0) continue;
    const lineage = effects.lineageOf(store, record, lineages.during(store, command.t, record.t));
    if (lineage === undefined) {
      violation(`${nameOf(command)} was acknowledged at ${positionsOf(record)}, and no lineage of ${store} has these events there`);
      continue;
    }
    const last = Math.max(...record.events.map(({ position }) => position));
    const known = highest.get(store);
    if (!known || known.lineage < lineage || (known.lineage === lineage && known.position < last))
      highest.set(store, { lineage, position: last });
    const earlier = before.get(record.op);
    const first = Math.min(...record.events.map(({ position }) => position));
    if (!record.repeated && earlier && earlier.lineage === lineage && first <= earlier.position)
      violation(`${nameOf(command)} began after position ${earlier.position} was acknowledged, and came before it, at ${first}`);
  }
  for (const command of commands.values()) {
    for (const { store, lineage, runs } of effects.of(command.id))
      if (runs > 1) violation(`${nameOf(command)} took effect ${runs} times in ${store}, lineage ${lineage}`);
  }
  return found;
}

/** Which events a command caused: the cause in their metadata is its id. */
class Effects {
  readonly #byCause = new Map<string, Array<{ store: string; lineage: number; runs: number }>>();
  readonly #lineages: Lineages;

  constructor(lineages: Lineages) {
    this.#lineages = lineages;
    for (const store of lineages.stores) {
      for (const [lineage, { events }] of lineages.of(store).entries()) this.#read(store, lineage, events);
    }
  }

  of(id: string): ReadonlyArray<{ readonly store: string; readonly lineage: number; readonly runs: number }> {
    return this.#byCause.get(id) ?? [];
  }

  /** The first of the lineages that has all events of an answer where it says, and the last one known keeps them or was cut before. */
  lineageOf(store: string, { events }: CommandOk, candidates: readonly number[]): number | undefined {
    return candidates.find((lineage) => {
      const log = this.#lineages.of(store)[lineage]?.events ?? [];
      return events.every(({ id, position, version, type }) => {
        const event = log[position - 1];
        return event?.id === id && event.version === version && event.type.endsWith(type);
      });
    });
  }

  // One append is one run of positions; a second run with the same cause is a second effect.
  #read(store: string, lineage: number, events: readonly StoredEvent[]): void {
    let last: { cause: string; position: number } | undefined;
    for (const { metadata, position } of events) {
      const { cause } = JSON.parse(metadata) as { cause?: string };
      if (cause === undefined) continue;
      const goesOn = last?.cause === cause && last.position === position - 1;
      last = { cause, position };
      if (goesOn) continue;
      const all = this.#byCause.get(cause) ?? [];
      const known = all.find((each) => each.store === store && each.lineage === lineage);
      if (known) known.runs++;
      else all.push({ store, lineage, runs: 1 });
      this.#byCause.set(cause, all);
    }
  }
}

function nameOf({ op, name, key, command, id }: Command): string {
  return `${name}("${key}").${command ?? ""} (operation ${op}, id ${id})`;
}

function positionsOf({ events }: CommandOk): string {
  return events.map(({ position, id }) => `${position} (${id})`).join(", ");
}
