/**
 * `POST /services/{service}/ids/{id}/void`: sees to it that no command under this Idempotency-Key can take effect at this service any more.
 * It is what a saga at another service asks before it undoes a step whose reply was lost. Keys belong to their caller: he voids his own.
 */
import { type ServiceRuntime, wire } from "convergent";
import type { Visit } from "./access.ts";
import { json } from "./problem.ts";
import { authorOf, usableKey } from "./write-headers.ts";

export async function voidId(
  request: Request,
  address: { service: ServiceRuntime; id: string },
  { caller, judge }: Visit,
): Promise<Response> {
  const { service } = address;
  const id = usableKey(address.id, "an Idempotency-Key");
  await judge({ kind: "void", service: service.name, id });
  const { actor = "", scope = actor } = authorOf(request.headers, caller);
  const record = await service.log.void({ scope, id });
  const body: wire.VoidBody = { void: record.state === "void" };
  return json(200, body, record.state === "void" ? {} : { [wire.headers.token]: String(await service.log.tokenAt(record.position)) });
}
