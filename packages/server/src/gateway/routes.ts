/** Every address of the gateway: what is done there, and who may look. The description of the API is made from the same list. */
import { hash } from "node:crypto";
import { json } from "./problem.ts";
import type { Visit } from "./access.ts";
import { CommandRoute } from "./command-route.ts";
import { definitionBody } from "./definition.ts";
import type { Sender } from "./caller.ts";
import type { Directory } from "./directory.ts";
import type { Live } from "../live/live.ts";
import { readEntity, readEvents } from "./entity-routes.ts";
import type { Metrics } from "./metrics.ts";
import { answerQuery } from "./rows-route.ts";
import { openapiBody } from "./openapi.ts";
import { matchesTag } from "./preconditions.ts";
import { readersBody, readiness } from "./status-routes.ts";
import { cancelSaga, operateSaga, readSaga, signalSaga, startSaga } from "./saga-routes.ts";
import { findDocuments, readDocument } from "./view-routes.ts";
import { voidId } from "./void-route.ts";

export interface Route {
  readonly method: "GET" | "POST";
  /** As the contract writes it, with parts in braces; metrics and logs know answers by it. */
  readonly address: string;
  /** Asked by machines that have no credentials and no patience: nobody is authenticated, and nothing is counted. */
  readonly probe?: true;
  /** Answers are held back until there is news, when `Prefer` asks for it. */
  readonly holds?: true;
  readonly answer: (request: Request, part: Part, visit: Visit, sender: Sender) => Response | Promise<Response>;
}

/** A part of the address, decoded. */
type Part = (name: string) => string;

export function routesOf(
  directory: Directory,
  { metrics, live, guarded }: { readonly metrics: Metrics; readonly live: Live; readonly guarded: boolean },
): readonly Route[] {
  const commands = new CommandRoute(directory);
  const entity = (part: Part) => directory.entity(part("entity"));
  const view = (part: Part) => directory.view(part("view"));
  return [
    {
      method: "POST",
      address: "/entities/{entity}/{id}/{command}",
      answer: (request, part, visit) =>
        commands.answer(request, { entity: part("entity"), id: part("id"), command: part("command") }, visit),
    },
    {
      method: "GET",
      address: "/entities/{entity}/{id}",
      answer: (request, part, { judge }) => readEntity(request, { entity: entity(part), id: part("id") }, judge),
    },
    {
      method: "GET",
      address: "/entities/{entity}/{id}/events",
      answer: (request, part, { judge }) => readEvents(request, { entity: entity(part), id: part("id") }, judge),
    },
    {
      method: "GET",
      address: "/views/{view}/{key}",
      answer: (request, part, { judge }) => readDocument(request, { view: view(part), key: part("key") }, judge),
    },
    {
      method: "GET",
      address: "/views/{view}/queries/{query}",
      answer: (request, part, { judge }) => answerQuery(request, { view: view(part), query: part("query") }, judge),
    },
    { method: "GET", address: "/views/{view}", answer: (request, part, { judge }) => findDocuments(request, view(part), judge) },
    ...sagaRoutes(directory),
    {
      method: "POST",
      address: "/services/{service}/ids/{id}/void",
      answer: (request, part, visit) => voidId(request, { service: directory.service(part("service")), id: part("id") }, visit),
    },
    { method: "GET", address: "/live", answer: (request, _part, visit, sender) => live.stream(request, visit, sender) },
    ...descriptionRoutes(directory, guarded),
    ...statusRoutes(directory, metrics),
  ];
}

function sagaRoutes(directory: Directory): readonly Route[] {
  const of = (part: Part) => ({ saga: directory.saga(part("saga")), id: part("id") });
  return [
    {
      method: "POST",
      address: "/sagas/{saga}",
      answer: (request, part, visit) => startSaga(request, { saga: directory.saga(part("saga")) }, visit),
    },
    { method: "POST", address: "/sagas/{saga}/{id}", answer: (request, part, visit) => startSaga(request, of(part), visit) },
    { method: "GET", address: "/sagas/{saga}/{id}", holds: true, answer: (request, part, { judge }) => readSaga(request, of(part), judge) },
    {
      method: "POST",
      address: "/sagas/{saga}/{id}/signals/{signal}",
      answer: (request, part, visit) => signalSaga(request, { ...of(part), signal: part("signal") }, visit),
    },
    { method: "POST", address: "/sagas/{saga}/{id}/cancel", answer: (request, part, visit) => cancelSaga(request, of(part), visit) },
    {
      method: "POST",
      address: "/sagas/{saga}/{id}/retry",
      answer: (request, part, visit) => operateSaga(request, { ...of(part), action: "retry" }, visit),
    },
    {
      method: "POST",
      address: "/sagas/{saga}/{id}/resolve",
      answer: (request, part, visit) => operateSaga(request, { ...of(part), action: "resolve" }, visit),
    },
  ];
}

/** Made once, when somebody asks for the first time: definitions do not change while they run. */
function descriptionRoutes(directory: Directory, guarded: boolean): readonly Route[] {
  const definition = definitionBody(directory);
  let openapi: { readonly body: string; readonly etag: string } | undefined;
  return [
    {
      method: "GET",
      address: "/definition",
      answer: async (_request, _part, { judge }) => {
        await judge({ kind: "definition" });
        return json(200, definition, { "cache-control": "no-cache" });
      },
    },
    {
      method: "GET",
      address: "/openapi.json",
      answer: async (request, _part, { judge }) => {
        await judge({ kind: "definition" });
        if (!openapi) {
          const body = JSON.stringify(openapiBody(directory, guarded));
          openapi = { body, etag: `"${hash("sha256", body, "base64url").slice(0, 22)}"` };
        }
        const headers = { etag: openapi.etag, "cache-control": "no-cache" };
        if (matchesTag(request.headers, openapi.etag)) return new Response(null, { status: 304, headers });
        return new Response(openapi.body, { headers: { ...headers, "content-type": "application/json" } });
      },
    },
  ];
}

function statusRoutes(directory: Directory, metrics: Metrics): readonly Route[] {
  return [
    { method: "GET", address: "/healthz", probe: true, answer: () => json(200, { status: "alive" }, { "cache-control": "no-store" }) },
    { method: "GET", address: "/readyz", probe: true, answer: () => readiness(directory) },
    {
      method: "GET",
      address: "/readers",
      answer: async (_request, _part, { judge }) => {
        await judge({ kind: "readers" });
        return json(200, await readersBody(directory), { "cache-control": "no-store" });
      },
    },
    {
      method: "GET",
      address: "/metrics",
      answer: async (_request, _part, { judge }) => {
        await judge({ kind: "metrics" });
        const { contentType, text } = await metrics.text();
        return new Response(text, { headers: { "content-type": contentType, "cache-control": "no-store" } });
      },
    },
  ];
}
