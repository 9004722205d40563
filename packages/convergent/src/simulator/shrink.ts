/**
 * Makes a failing run smaller: fewer kinds of faults, fewer servers and clients, fewer steps, as long as a violation by the
 * same checker remains. What is left out of a run changes the rest of it, so each try is a run of its own
 * (after delta debugging: Zeller and Hildebrandt, IEEE TSE 2002).
 */
import type { FaultKind } from "./faults.ts";
import type { Served } from "../client/facade.ts";
import type { AnyService } from "../service/service.ts";
import { simulate, type Simulated, type SimulateOptions, type SimulationReport } from "./simulate.ts";

/** A smaller run that fails in the same way. */
export interface Shrunk {
  readonly report: SimulationReport;
  readonly steps: number;
  readonly servers: number;
  readonly clients: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** How many runs it took. */
  readonly tries: number;
}

type Shape = Pick<Shrunk, "steps" | "servers" | "clients" | "faults">;

/** Runs that are made at most. */
const triesMax = 120;

/** Shrinks the run of `failed`, which must have been made with these options. */
export async function shrink<S extends AnyService & Served, Outside = undefined>(
  services: Simulated<S, Outside>,
  options: SimulateOptions<S, Outside>,
  failed: SimulationReport,
): Promise<Shrunk> {
  const checkers = new Set(failed.violations.map(({ checker }) => checker));
  let tries = 0;
  const failsBy = async (shape: Shape): Promise<SimulationReport | undefined> => {
    tries++;
    const report = await simulate(services, { ...options, ...shape });
    return report.violations.some(({ checker }) => checkers.has(checker)) ? report : undefined;
  };
  let shape: Shape = { steps: options.steps ?? 2000, servers: failed.servers, clients: options.clients ?? 3, faults: failed.rates };
  let report = failed;
  for (let next = candidates(shape); next.length > 0; ) {
    const [candidate, ...others] = next as [Shape, ...Shape[]];
    const found = await failsBy(candidate);
    if (found) [shape, report] = [candidate, found];
    next = tries >= triesMax ? [] : found ? candidates(shape) : others;
  }
  return { ...shape, report, tries };
}

// The boldest first.
function candidates({ steps, servers, clients, faults }: Shape): Shape[] {
  const kinds = Object.keys(faults) as FaultKind[];
  const without = (left: readonly FaultKind[]): Shape => ({
    steps,
    servers,
    clients,
    faults: Object.fromEntries(kinds.filter((kind) => !left.includes(kind)).map((kind) => [kind, faults[kind]])),
  });
  const half = Math.ceil(kinds.length / 2);
  return [
    ...(kinds.length > 2 ? [without(kinds.slice(half)), without(kinds.slice(0, half))] : []),
    ...kinds.map((kind) => without([kind])),
    ...(steps > 50 ? [{ steps: Math.floor(steps / 2), servers, clients, faults }] : []),
    ...(steps > 50 ? [{ steps: Math.floor(steps * 0.8), servers, clients, faults }] : []),
    ...(servers > 1 ? [{ steps, servers: servers - 1, clients, faults }] : []),
    ...(clients > 1 ? [{ steps, servers, clients: clients - 1, faults }] : []),
  ];
}
