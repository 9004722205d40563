// One seed of the repository's own simulation: the bank behind the real gateway.
import { createGateway } from "@convergent/server";
import { shrink, type Shrunk, simulate, type SimulateOptions, type SimulationReport } from "convergent/simulator";
import { bank, bankConserves, bankWork } from "./bank.ts";

/** What a run may have otherwise than by its seed. */
export type Overrides = Partial<Pick<SimulateOptions<ReturnType<typeof bank>>, "faults" | "servers" | "clients" | "steps">>;

function optionsOf(seed: number, overrides: Overrides): SimulateOptions<ReturnType<typeof bank>> {
  return {
    seed,
    gateway: (services) => createGateway(services),
    workload: bankWork,
    invariants: { "money is conserved": bankConserves },
    ...overrides,
  };
}

export function runSeed(seed: number, overrides: Overrides = {}): Promise<SimulationReport> {
  return simulate(bank, optionsOf(seed, overrides));
}

/** A smaller run that fails in the same way. */
export function shrinkSeed(failed: SimulationReport, overrides: Overrides = {}): Promise<Shrunk> {
  return shrink(bank, optionsOf(failed.seed, overrides), failed);
}
