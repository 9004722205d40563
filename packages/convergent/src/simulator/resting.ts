/**
 * What must have come to rest before a run is judged: readers at head, sagas at their end unless they wait for somebody, and whoever watches told the newest.
 */
import type { SagaStep } from "../protocol/saga.ts";
import { unfinishedName } from "../service/saga-work.ts";
import type { Standing } from "./watch-recorder.ts";
import type { ServiceRuntime } from "../service/service-runtime.ts";

/** Sagas of a process that are looked at. */
const sagasMax = 500;

/** Readers of a service that are not at the head of what they follow, by name. */
export async function readersBehind(runtime: ServiceRuntime): Promise<string[]> {
  const behind: string[] = [];
  for (const reader of runtime.readers()) {
    const source = await reader.source.head();
    if (reader.position >= source.position) continue;
    const failure = reader.failure ? `, ${reader.failure.message}` : "";
    behind.push(`${reader.name} v${reader.version} is ${reader.state} at ${reader.position} of ${source.position}${failure}`);
  }
  return behind;
}

/** Sagas of a service that have something to do, by name. Those that wait for a signal, or for a time behind `until`, rest. */
export async function sagasUnderWay(runtime: ServiceRuntime, until: number): Promise<string[]> {
  const busy: string[] = [];
  for (const [name, sagas] of runtime.sagas) {
    const page = await runtime.view(unfinishedName(name)).find({ state: "running" }, { limit: sagasMax });
    for (const { key } of page.value) {
      const { state } = await sagas.read(key);
      const open = state.steps.filter((step) => step.state === "begun");
      const rests = state.status === "running" && open.length > 0 && open.every((step) => isPatient(step, until));
      if (!rests && (state.status === "running" || state.status === "undoing"))
        busy.push(
          `the saga ${name} ${key} is ${state.status}: ${state.steps.map((step) => `${step.name} ${step.state}`).join(", ") || "no step"}`,
        );
    }
  }
  return busy;
}

/** Watches of a service's parts that were not told yet what there is by now. */
export async function watchesBehind(runtime: ServiceRuntime, standing: Iterable<Standing>): Promise<string[]> {
  const behind: string[] = [];
  const { position } = await runtime.log.head();
  for (const { asked, told } of standing) {
    const { session, watch, what, name, key } = asked;
    const saga = what === "saga" ? runtime.sagas.get(name) : undefined;
    const isOurs = saga !== undefined || runtime.views.has(name) || runtime.entities.has(name);
    if (!isOurs) continue;
    const wanted = saga ? (await saga.read(key)).version : position;
    const reached = (saga ? told?.version : told?.asOf) ?? -1;
    if (reached < wanted) behind.push(`watch ${watch} of ${session}, of ${name} ${key}, was told ${reached} of ${wanted}`);
  }
  return behind;
}

function isPatient({ kind, dueAt }: SagaStep, until: number): boolean {
  return kind !== "step" && (dueAt === undefined ? kind === "signal" : dueAt > until);
}
