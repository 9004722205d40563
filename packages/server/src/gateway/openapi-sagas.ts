/** What `openapi.json` says of one saga: its addresses, made of its definition. */
import type { wire } from "convergent";
import { header, inPath, json, problems, ref, type Schema, text } from "./openapi-components.ts";

type Operations = Record<string, Schema>;

/** The addresses of a saga. `input`: a reference to the schema of what it is started with; `refusals`: statuses that any request may have. */
export function sagaPaths(
  { name, service }: wire.PartBody,
  { input, refusals }: { readonly input: Schema; readonly refusals: readonly number[] },
): Readonly<Record<string, Operations>> {
  const at = `/sagas/${encodeURIComponent(name)}`;
  const id = inPath("id", { type: "string", minLength: 1, maxLength: 256 });
  const writes = ["ConsistencyToken", "Traceparent"].map(header);
  const post = (operation: string, body: Schema, rest: { parameters: readonly Schema[]; statuses: readonly number[] }): Operations => ({
    post: {
      operationId: `${name}.${operation}`,
      tags: [service],
      parameters: [...rest.parameters, ...writes],
      requestBody: { required: false, content: { "application/json": { schema: body } } },
      responses: {
        "202": json("It is durable, and goes on by itself.", ref("schemas", "SagaAccepted"), [
          "Location",
          "Retry-After",
          "Retry-After-Ms",
          "Consistency-Token",
        ]),
        ...problems(400, 404, 409, ...refusals, 413, ...rest.statuses),
      },
    },
  });
  const key = header("IdempotencyKey");
  const start = (operation: string, parameters: readonly Schema[], statuses: readonly number[]): Operations =>
    post(operation, input, { parameters, statuses });
  const tell = (operation: string, body: Schema, more: readonly Schema[] = []): Operations =>
    post(operation, body, {
      parameters: [id, ...more, key],
      statuses: operation === "retry" || operation === "resolve" ? [412, 422] : [422],
    });
  const why = { ...text, minLength: 1, maxLength: 1000 };
  const reason = { type: "object", properties: { reason: why } };
  const required = { ...reason, required: ["reason"] };
  return {
    [at]: start("start", [key], [422]),
    [`${at}/{id}`]: {
      get: {
        operationId: `${name}.get`,
        tags: [service],
        parameters: [id, ...["IfNoneMatch", "Prefer", "ConsistencyToken"].map(header)],
        responses: {
          "200": json("The saga as it is.", ref("schemas", "Saga"), [
            "ETag",
            "Consistency-Token",
            "Preference-Applied",
            "Retry-After",
            "Retry-After-Ms",
          ]),
          "304": { description: "Nothing changed, not even within the time that it was waited for." },
          ...problems(400, 404, 409, ...refusals),
        },
      },
      ...start("startAs", [id], []),
    },
    [`${at}/{id}/signals/{signal}`]: tell("signal", {}, [inPath("signal", { type: "string", minLength: 1, maxLength: 256 })]),
    [`${at}/{id}/cancel`]: tell("cancel", reason),
    [`${at}/{id}/retry`]: tell("retry", required),
    [`${at}/{id}/resolve`]: tell("resolve", required),
  };
}
