/** Entry point `convergent/testing`: what a service decides, given a past; and what becomes of it when everything goes wrong. */
export { given, type Given, type PastOf } from "./given.ts";
export type { GivenEntity, Led, WhenOptions } from "./given-entity.ts";
export type { Documents, GivenView } from "./given-view.ts";
export type { About, NamedData, PastEvent, ViewedEvent, Written } from "./past.ts";
export { explore, type Explored, type ExploreOptions } from "./explore.ts";
export { type FaultChoice, type FaultKind, faultKinds } from "../simulator/faults.ts";
export type { HistoryRecord, Violation } from "../simulator/history.ts";
export type { SeededRandom } from "../simulator/random.ts";
export type { Gateway } from "../simulator/server.ts";
export {
  type Actor,
  type Circumstances,
  type Ended,
  type Invariant,
  simulate,
  type SimulateOptions,
  type Simulated,
  type SimulationReport,
  type Workload,
} from "../simulator/simulate.ts";
export type { Connect } from "../simulator/world.ts";
export { traceOf } from "../simulator/trace.ts";
