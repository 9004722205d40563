/** An amendment as it becomes: a saga, watched. The address holds its id, so a page that is opened again shows how it goes on. */
import { isConvergentError, type SagaStep } from "convergent/client";
import { useEffect, useState } from "react";
import { pause, untilStopped } from "../parts/pace.ts";
import { client } from "../parts/shop-client.ts";
import { failureText } from "../parts/wording.ts";

export type Amendment = Awaited<ReturnType<typeof client.amendOrder.get>>;

/** An amendment that waits for somebody is looked at again this often. */
const parkedMs = 1000;

export interface Watched {
  readonly amendment: Amendment | undefined;
  readonly problem: string;
  /** For operators: has the undo that failed tried again, or takes it for done. */
  readonly resume: (how: "retry" | "resolve", about: { readonly reason: string; readonly actor: string }) => Promise<void>;
}

export function useAmendment(id: string | undefined): Watched {
  const [seen, setSeen] = useState<Amendment>();
  const [problem, setProblem] = useState("");
  useEffect(() => {
    setProblem("");
    if (id === undefined) return undefined;
    return untilStopped(
      async (signal) => {
        // A watch ends with its saga. One that waits for somebody may go on after that, from here or from another desk.
        for (let status: Amendment["status"] = "parked"; status === "parked"; await pause(status === "parked" ? parkedMs : 0, signal))
          for await (const news of client.amendOrder.watch(id, { signal })) {
            ({ status } = news);
            setSeen((known) => (known?.id === id && known.version > news.version ? known : news));
          }
      },
      (error) =>
        setProblem(isConvergentError(error, "saga_not_found") ? "This amendment was never begun. Save again." : failureText(error)),
    );
  }, [id]);
  const resume: Watched["resume"] = async (how, about) => {
    if (id === undefined) return;
    setProblem("");
    try {
      await client.amendOrder[how](id, about);
    } catch (error) {
      setProblem(failureText(error));
    }
  };
  return { amendment: seen?.id === id ? seen : undefined, problem, resume };
}

/** The steps of an amendment, in their order, and who does them. */
export const stages: ReadonlyArray<{ readonly step: string; readonly title: string; readonly service: string }> = [
  { step: "check order", title: "Check the order", service: "orders" },
  { step: "capture amount", title: "Capture the difference", service: "payments" },
  { step: "reserve stock", title: "Reserve the goods", service: "inventory" },
  { step: "update shipping", title: "Update the parcel", service: "shipping" },
  { step: "amend order", title: "Amend the order", service: "orders" },
];

const undos: Readonly<Partial<Record<SagaStep["state"], string>>> = {
  done: "to be undone",
  undoing: "is being undone",
  undone: "undone",
  void: "can take no effect any more",
  resolved: "taken for done",
  stuck: "its undo failed",
};

/** What is or will be taken back, in the sequence in which that happens. */
export function undoStages({ status, steps }: Amendment): ReadonlyArray<{ readonly step: SagaStep; readonly says: string }> {
  if (status === "running" || status === "completed") return [];
  return steps.toReversed().flatMap((step) => {
    const says = undos[step.state];
    return says === undefined || step.name === "check order"
      ? []
      : [{ step, says: step.state === "undoing" ? `${says}${attemptOf(step)}` : says }];
  });
}

/** How a step itself went. */
export function stageSays(step: SagaStep | undefined, { status }: Pick<Amendment, "status">): string {
  if (!step) return status === "running" ? "waits" : "not begun";
  if (step.state === "begun") return `under way${attemptOf(step)}`;
  if (step.state === "done") return "done";
  if (step.state === "failed") return "failed";
  return step.state === "void" ? "in doubt" : "taken back";
}

function attemptOf({ retries }: SagaStep): string {
  return retries > 0 ? `, attempt ${retries + 1}` : "";
}

/** How it stands, or ended, in a sentence. */
export function endSays({ status, steps, error = "", result }: Amendment): string {
  const failed = steps.find(({ state }) => state === "stuck")?.name;
  switch (status) {
    case "running":
      return `Step ${Math.max(1, steps.length)} of ${stages.length}.`;
    case "undoing":
      return "A step failed: what was done before is being undone.";
    case "completed":
      return `Completed: the order is at version ${result?.version}.`;
    case "compensated":
      return `Undone: nothing of it is left, because ${error}.`;
    case "parked":
      return `It waits for somebody${failed === undefined ? "" : `: the undo of “${failed}” failed`}. ${error}`;
  }
}
