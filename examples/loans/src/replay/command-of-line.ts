/** A line of the file as a command of an application. */
import type { Client, RemoteOutcome } from "convergent/client";
import { ConvergentError } from "convergent/client";
import type { Application, OfferStep, Status } from "../definitions/application.ts";
import type { loans } from "../definitions/loans.ts";
import type { EventLine } from "../file/event-file.ts";

export type LoansClient = Client<typeof loans>;

/** The same line is the same command, however often it is sent. */
export function commandId(line: number): string {
  return `line-${line}`;
}

/** Sends a line. `version`: how many events its application has by now. */
export function sendLine(client: LoansClient, line: EventLine, version: number): Promise<RemoteOutcome<Application>> {
  const { activity, lifecycle, resource, at, amount } = line;
  const application = client.application(line.application);
  const options = { id: commandId(line.number), expected: version === 0 ? ("none" as const) : version };
  if (activity === "A_SUBMITTED") {
    if (amount === undefined) throw new ConvergentError("invalid_input", "A_SUBMITTED comes with the amount");
    return application.submit({ amount, resource, at }, options);
  }
  // What is no state and no step of an offer is refused by the command's schema: the file is not believed here.
  if (activity.startsWith("A_")) return application.advance({ to: activity as Status, resource, at }, options);
  if (activity.startsWith("O_")) return application.offer({ step: activity as OfferStep, resource, at }, options);
  const work = { item: activity, resource, at };
  switch (lifecycle) {
    case "SCHEDULE":
      return application.scheduleWork(work, options);
    case "START":
      return application.startWork(work, options);
    case "COMPLETE":
      return application.completeWork(work, options);
  }
}
