/**
 * Applications by their state: one document an application, found and counted by `status`, sorted by how long it has
 * been there (`since`) or by `amount`.
 */
import { view } from "convergent";
import { z } from "zod";
import { application } from "./application.ts";

const Document = z.object({
  status: z.string(),
  /** In milliseconds since 1970: texts with different offsets from UTC do not sort by time. */
  since: z.number().int(),
  amount: z.number(),
  offersSent: z.number().int(),
});

export type ApplicationByStatus = z.output<typeof Document>;

export const applicationsByStatus = view("applications-by-status", {
  version: 1,
  from: [application],
  document: Document,
  key: (event) => event.entityId,
  indexes: ["status", "since", "amount"],
}).on({
  "application.submitted": (_, { data }) => ({
    status: "A_SUBMITTED",
    since: Date.parse(data.at),
    amount: data.amount,
    offersSent: 0,
  }),
  "application.advanced": (document, { data }) => document && { ...document, status: data.to, since: Date.parse(data.at) },
  "application.offered": (document, { data }) =>
    document && (data.step === "O_SENT" ? { ...document, offersSent: document.offersSent + 1 } : document),
});
