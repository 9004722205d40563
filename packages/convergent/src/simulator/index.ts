/** Entry point `convergent/simulator`: the real code of a service in virtual time, with everything going wrong. */
export { checkHistory } from "./checkers/check.ts";
export { dumpLog, type HeldView, heldViews, type LogDump } from "./dump.ts";
export { type FaultChoice, type FaultKind, faultKinds } from "./faults.ts";
export { type HistoryRecord, historyText, parseHistory, type Violation } from "./history.ts";
export {
  type Actor,
  type Circumstances,
  type Ended,
  type Invariant,
  type Workload,
  simulate,
  type SimulateOptions,
  type Simulated,
  type SimulationReport,
} from "./simulate.ts";
export { SeededRandom } from "./random.ts";
export { type Recorded, Recorder } from "./recorder.ts";
export { shrink, type Shrunk } from "./shrink.ts";
export { traceOf } from "./trace.ts";
export type { Gateway } from "./server.ts";
export type { Connect } from "./world.ts";
