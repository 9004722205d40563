/**
 * The gateway: HTTP over any list of running services, by the project's HTTP contract. It holds no state that matters:
 * every answer is derived from logs and positions, so any number of gateways may serve the same services.
 */
import { ConvergentError, type Running } from "convergent";
import { Hono } from "hono";
import { CommandRoute } from "./command-route.ts";
import { definitionBody } from "./definition.ts";
import { Directory } from "./directory.ts";
import { readEntity, readEvents } from "./entity-routes.ts";
import { guard } from "./guard.ts";
import { Metrics } from "./metrics.ts";
import { failure, invalidInput, json, type OnError, plainProblem, problem } from "./problem.ts";
import { readersBody, readiness } from "./status-routes.ts";
import { findDocuments, readDocument } from "./view-routes.ts";

export interface GatewayOptions {
  /** Answers what is no address of the gateway: the pages of an application. */
  readonly fallback?: (request: Request) => Response | Promise<Response>;
  /** Told of each failure that is answered with 500. By default it is written to stderr. */
  readonly onError?: OnError;
}

export interface Gateway {
  /** Answers one request; never rejects. */
  fetch(request: Request): Promise<Response>;
}

interface Route {
  readonly method: "GET" | "POST";
  /** As the contract writes it, with parts in braces; metrics know answers by it. */
  readonly address: string;
  readonly answer: (request: Request, part: (name: string) => string) => Response | Promise<Response>;
}

/** Serves running services. Throws `definition_invalid` when two of their parts share a name. */
export function createGateway(services: readonly Running[], options: GatewayOptions = {}): Gateway {
  const directory = new Directory(services);
  const metrics = new Metrics(directory);
  const routes = routesOf(directory, metrics);
  const onError = options.onError ?? writeError;
  const app = new Hono();
  for (const route of routes) mount(app, route, { metrics, onError });
  app.notFound((context) => elsewhere(context.req.raw, routes, options.fallback));
  app.onError((error, context) => failure(error, `${context.req.method} ${context.req.path}`, onError));
  return { fetch: (request) => answer(request, app) };
}

function routesOf(directory: Directory, metrics: Metrics): readonly Route[] {
  const commands = new CommandRoute(directory);
  const definition = definitionBody(directory);
  const entity = (part: (name: string) => string) => directory.entity(part("entity"));
  const view = (part: (name: string) => string) => directory.view(part("view"));
  return [
    {
      method: "POST",
      address: "/entities/{entity}/{id}/{command}",
      answer: (request, part) => commands.answer(request, { entity: part("entity"), id: part("id"), command: part("command") }),
    },
    { method: "GET", address: "/entities/{entity}/{id}", answer: (request, part) => readEntity(request, entity(part), part("id")) },
    { method: "GET", address: "/entities/{entity}/{id}/events", answer: (request, part) => readEvents(request, entity(part), part("id")) },
    { method: "GET", address: "/views/{view}/{key}", answer: (request, part) => readDocument(request, view(part), part("key")) },
    { method: "GET", address: "/views/{view}", answer: (request, part) => findDocuments(request, view(part)) },
    { method: "GET", address: "/definition", answer: () => json(200, definition, { "cache-control": "no-cache" }) },
    { method: "GET", address: "/healthz", answer: () => json(200, { status: "alive" }, { "cache-control": "no-store" }) },
    { method: "GET", address: "/readyz", answer: () => readiness(directory) },
    { method: "GET", address: "/readers", answer: async () => json(200, await readersBody(directory), { "cache-control": "no-store" }) },
    {
      method: "GET",
      address: "/metrics",
      answer: async () => {
        const { contentType, text } = await metrics.text();
        return new Response(text, { headers: { "content-type": contentType, "cache-control": "no-store" } });
      },
    },
  ];
}

// Failures become answers, and answers are counted, here and not in middleware: Hono would wrap each request once more for it.
function mount(app: Hono, route: Route, to: { readonly metrics: Metrics; readonly onError: OnError }): void {
  const { method, address } = route;
  app.on(method, address.replaceAll(/\{(\w+)\}/g, ":$1"), async (context) => {
    let response: Response;
    try {
      response = await route.answer(context.req.raw, (name) => context.req.param(name) ?? "");
    } catch (error) {
      response = failure(error, `${method} ${address}`, to.onError);
    }
    to.metrics.answered(address, response.status);
    return response;
  });
}

async function answer(request: Request, app: Hono): Promise<Response> {
  const refusal = guard(request) ?? undecodable(request.url);
  return refusal ? problem(refusal) : app.fetch(request);
}

// The router leaves a malformed escape as it is, and an entity would be made under a name that nobody meant.
function undecodable(url: string): ConvergentError | undefined {
  if (!url.includes("%")) return undefined;
  try {
    decodeURIComponent(url);
    return undefined;
  } catch {
    const reason = "malformed percent-encoding";
    return invalidInput(`the address holds ${reason}; a percent sign itself is written %25`, [{ path: "", reason }]);
  }
}

/** Answers where no route matches: 405 at an address that has other methods, else the application's pages, else 404 with the addresses there are. */
function elsewhere(request: Request, routes: readonly Route[], fallback: GatewayOptions["fallback"]): Response | Promise<Response> {
  const { pathname } = new URL(request.url);
  const methods = routes.flatMap(({ method, address }) =>
    matches(address, pathname) ? [method, ...(method === "GET" ? ["HEAD"] : [])] : [],
  );
  if (methods.length > 0) {
    const allow = methods.join(", ");
    return plainProblem(405, "Method Not Allowed", `this address knows ${allow}, not ${request.method}`, { allow });
  }
  if (fallback) return fallback(request);
  const known = routes.map(({ method, address }) => `${method} ${address}`);
  return problem(new ConvergentError("not_found", `there is nothing at ${pathname.slice(0, 200)}`, { details: { known } }));
}

function matches(address: string, pathname: string): boolean {
  const wanted = address.split("/");
  const given = pathname.split("/");
  return (
    wanted.length === given.length && wanted.every((part, index) => (part.startsWith("{") ? given[index] !== "" : part === given[index]))
  );
}

function writeError(error: unknown, where: string): void {
  process.stderr.write(`convergent: ${where} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}
