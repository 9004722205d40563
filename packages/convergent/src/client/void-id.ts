/** Sees to it that a command whose reply was lost can take effect no more, or learns that it did. */
import { ConvergentError } from "../errors/error.ts";
import { headers as names } from "../protocol/wire.ts";
import type { RemoteVoidOptions } from "./facade.ts";
import { actorName, idempotencyKey, segment } from "./path.ts";
import { problemError } from "./problem.ts";
import type { Reach } from "./reach.ts";

export async function voidId({ definition, requests }: Reach, id: string, options: RemoteVoidOptions = {}): Promise<boolean> {
  const path = segment(idempotencyKey(id), "the id of a command");
  const service = options.service ?? onlyOne(await definition.services(options.signal));
  const { answer } = await requests.send({
    method: "POST",
    path: `/services/${segment(service, "the name of a service")}/ids/${path}/void`,
    what: `voidId("${id}")`,
    headers: options.actor === undefined ? {} : { [names.actor]: actorName(options.actor) },
    // Asked again it answers the same: that makes it a command, whose outcome may be unknown.
    id,
    after: null,
    accepts: (body) => typeof body["void"] === "boolean",
    signal: options.signal,
  });
  if (answer.kind === "refusal") throw problemError(answer.problem, { id });
  return answer.body["void"] as boolean;
}

function onlyOne(services: readonly string[]): string {
  const [service] = services;
  if (service !== undefined && services.length === 1) return service;
  throw new ConvergentError("invalid_input", `say at which service the id is to be voided: { service: … }, of ${services.join(", ")}`, {
    details: { known: services },
  });
}
