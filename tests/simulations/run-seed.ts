// One seed of the repository's own simulation: a bank and a notary behind the real gateway.
import { createGateway } from "@convergent/server";
import { shrink, type Shrunk, simulate, type SimulateOptions, type SimulationReport } from "convergent/simulator";
import { bankConserves } from "./bank.ts";
import { type Town, town, townWork } from "./notary.ts";

/** What a run may have otherwise than by its seed. */
export type Overrides = Partial<Pick<SimulateOptions<Town>, "faults" | "servers" | "clients" | "steps">>;

function optionsOf(seed: number, overrides: Overrides): SimulateOptions<Town> {
  return {
    seed,
    gateway: (services) => createGateway(services),
    workload: townWork,
    invariants: { "money is conserved": ([running]) => bankConserves([running as never]) },
    ...overrides,
  };
}

export function runSeed(seed: number, overrides: Overrides = {}): Promise<SimulationReport> {
  return simulate(town, optionsOf(seed, overrides));
}

/** A smaller run that fails in the same way. */
export function shrinkSeed(failed: SimulationReport, overrides: Overrides = {}): Promise<Shrunk> {
  return shrink(town, optionsOf(failed.seed, overrides), failed);
}

/** The definitions of all releases of the town. */
export const releases: readonly Town[] = [1, 9].flatMap((life) => town({ life, server: 0, fails: () => false, outside: undefined }));
