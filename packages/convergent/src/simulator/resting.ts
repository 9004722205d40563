/** What must have come to rest before a run is judged: readers at head, and sagas at their end unless they wait for somebody. */
import type { SagaStep } from "../protocol/saga.ts";
import { unfinishedName } from "../service/saga-work.ts";
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

function isPatient({ kind, dueAt }: SagaStep, until: number): boolean {
  return kind !== "step" && (dueAt === undefined ? kind === "signal" : dueAt > until);
}
