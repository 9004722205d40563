/**
 * The next release of `loans`: applications by their state also say how often that changed. The new version of the view
 * is built beside the old one while requests go on; until it is in place this release keeps the old one as well and
 * answers from it.
 */
import { service, view } from "convergent";
import { z } from "zod";
import { application } from "./application.ts";
import { type ApplicationByStatus, applicationsByStatus as before } from "./applications-by-status.ts";
import { handlingTime } from "./handling-time.ts";
import { workByResource } from "./work-by-resource.ts";

const Document = z.object({
  status: z.string(),
  since: z.number().int(),
  amount: z.number(),
  offersSent: z.number().int(),
  /** How often the state changed; not known of a document that an older version answers with. */
  changes: z.number().int().optional(),
});

export interface ApplicationByStatusNext extends ApplicationByStatus {
  readonly changes?: number | undefined;
}

const applicationsByStatus = view("applications-by-status", {
  version: 2,
  from: [application],
  document: Document,
  key: (event) => event.entityId,
  indexes: ["status", "since", "amount", "changes"],
  replaces: { view: before },
}).on({
  "application.submitted": (_, { data }) => ({
    status: "A_SUBMITTED",
    since: Date.parse(data.at),
    amount: data.amount,
    offersSent: 0,
    changes: 0,
  }),
  "application.advanced": (document, { data }) =>
    document && { ...document, status: data.to, since: Date.parse(data.at), changes: (document.changes ?? 0) + 1 },
  "application.offered": (document, { data }) =>
    document && (data.step === "O_SENT" ? { ...document, offersSent: document.offersSent + 1 } : document),
});

export const loansNext = service("loans", { parts: { application, applicationsByStatus, handlingTime, workByResource } });
