/**
 * The gateway: HTTP over any list of running services, by the project's HTTP contract. It holds no state that matters:
 * every answer is derived from logs and positions, so any number of gateways may serve the same services.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { ConvergentError, type Running } from "convergent";
import { type Context, Hono } from "hono";
import { Access, type AccessOptions, anyone, type Visit } from "./access.ts";
import type { Sender } from "./caller.ts";
import { Cors, type CorsOptions } from "./cors.ts";
import { Directory } from "./directory.ts";
import { Live, type LiveOptions } from "../live/live.ts";
import type { TextConnection, TextSocket } from "../live/text-socket.ts";
import { Ending } from "./ending.ts";
import { guard, type GuardRules } from "./guard.ts";
import { Limiter, limitKey, type Limits, limitsDefault, mayWait } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { failure, invalidInput, type OnError, plainProblem, problem } from "./problem.ts";
import { type LogOption, RequestLog } from "./request-log.ts";
import { type Route, routesOf } from "./routes.ts";

/** Who may ask a gateway for what, and what it does about the rest. */
export interface GatewayOptions extends AccessOptions {
  /** Answers what is no address of the gateway: the pages of an application. It is asked without authentication, and judges by itself. */
  readonly fallback?: (request: Request) => Response | Promise<Response>;
  /** Told of each failure that is answered with 500. By default it is written to the log, or to stderr without one. */
  readonly onError?: OnError;
  /** One line for each request, without payloads: a pino logger, the level of one that writes to stdout, or none (default). */
  readonly log?: LogOption;
  /** What one caller may ask for. By default 500 requests a second where callers are authenticated, and anything where they are not. */
  readonly limits?: Limits;
  /** Web pages of other origins that may ask. By default none. */
  readonly cors?: CorsOptions;
  /** Where callers are authenticated: the values of `Host` that are answered, for example `["api.example.com"]`. By default any. */
  readonly hosts?: readonly string[];
  /** What those who watch (`/live`) may do. */
  readonly live?: LiveOptions;
}

/** A gateway without a socket: requests in, responses out. */
export interface Gateway {
  /** Answers one request; never rejects. */
  fetch(request: Request, sender?: Sender): Promise<Response>;
  /** Takes over a WebSocket of `/live` from a server of Node (its event `upgrade`), or refuses it; never throws. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /**
   * Judges a handshake of `/live` for a runtime with WebSockets of its own, as `fetch` judges requests: answers the refusal to send, or what takes up the
   * socket once the runtime has agreed to the subprotocol `convergent.v1`, to be called once and within ten seconds. Never rejects.
   */
  accept(handshake: Request, sender?: Sender): Promise<Response | ((socket: TextSocket) => TextConnection)>;
  /** From now on `/readyz` answers 503 `draining`; everything else goes on. */
  drain(): void;
  /** From now on no read waits, and nobody watches: reads that wait are answered at once, as not fresh, and watches end. */
  end(): void;
}

/** What each request passes on its way. */
interface Way {
  readonly routes: readonly Route[];
  readonly access: Access;
  /** Nobody is authenticated and nothing is counted: requests are not held up for it. */
  readonly open: boolean;
  readonly limiter: Limiter | undefined;
  readonly cors: Cors | undefined;
  readonly rules: GuardRules;
  readonly metrics: Metrics;
  readonly log: RequestLog | undefined;
  readonly onError: OnError;
}

const pathLengthMax = 8192;
const parametersMax = 64;

/** Serves running services. Throws `definition_invalid` when two of their parts share a name, or options contradict each other. */
export function createGateway(services: readonly Running[], options: GatewayOptions = {}): Gateway {
  const ending = new Ending();
  const directory = new Directory(services, ending);
  const log = RequestLog.of(options.log);
  const cors = options.cors && new Cors(options.cors);
  const limits = options.limits ?? (options.authenticate ? limitsDefault : undefined);
  const access = new Access(options, directory);
  const limiter = limits && new Limiter(limits);
  const open = !options.authenticate && !limits;
  const onError = options.onError ?? (log ? (error: unknown, where: string) => log.failed(error, where) : writeError);
  const rules: GuardRules = {
    local: options.authenticate === undefined,
    allows: (origin) => cors?.allows(origin) ?? false,
    ...(options.hosts ? { hosts: new Set(options.hosts.map((host) => host.toLowerCase())) } : {}),
  };
  const live = new Live({ directory, access, open: !options.authenticate, limiter, rules, onError }, options.live);
  const metrics = new Metrics(directory, live);
  const routes = routesOf(directory, { metrics, live, guarded: options.authenticate !== undefined });
  const way: Way = { routes, access, open, limiter, cors, rules, metrics, log, onError };
  const app = new Hono<{ Bindings: Sender }>();
  for (const route of way.routes) mount(app, route, way);
  app.notFound(async (context) => {
    const request = context.req.raw;
    const startedAt = log ? performance.now() : 0;
    const response = await elsewhere(request, way.routes, options.fallback);
    log?.answered({ request, response, startedAt });
    return response;
  });
  app.onError((error, context) => failure(error, `${context.req.method} ${context.req.path}`, way.onError));
  return {
    fetch: (request, sender = {}) => answer(request, sender, { app, way }),
    upgrade: (request, socket, head) => live.upgrade(request, socket, head),
    accept: (handshake, sender = {}) => live.accept(handshake, sender),
    drain: () => ending.drain(),
    end: () => ending.end(),
  };
}

type App = Hono<{ Bindings: Sender }>;

// Failures become answers, and answers are counted, here and not in middleware: Hono would wrap each request once more for it.
function mount(app: App, route: Route, way: Way): void {
  app.on(route.method, route.address.replaceAll(/\{(\w+)\}/g, ":$1"), (context) => visited(context, route, way));
}

async function visited(context: Context<{ Bindings: Sender }>, route: Route, way: Way): Promise<Response> {
  const { log, limiter } = way;
  const { address, probe = false, holds = false } = route;
  const request = context.req.raw;
  const part = (name: string): string => context.req.param(name) ?? "";
  const startedAt = log ? performance.now() : 0;
  let visit: Visit | undefined;
  let leave: (() => void) | undefined;
  let response: Response;
  try {
    visit = probe || way.open ? anyone : await admitted(request, context.env, way);
    if (limiter && !probe && mayWait(request, holds)) leave = limiter.wait(limitKey(visit, context.env));
    response = await route.answer(request, part, visit, context.env);
  } catch (error) {
    response = failure(await way.access.discreet(error, visit), `${route.method} ${address}`, way.onError);
  } finally {
    leave?.();
  }
  way.metrics.answered(address, response.status);
  log?.answered({ request, response, route: address, probe, subject: visit?.caller?.subject, parts: () => context.req.param(), startedAt });
  return response;
}

/** Lets a request in and counts it: for its caller, or for its address when nobody was recognised. */
async function admitted(request: Request, sender: Sender, { access, limiter }: Way): Promise<Visit> {
  let visit: Visit;
  try {
    visit = await access.admit(request);
  } catch (error) {
    limiter?.count(limitKey(anyone, sender));
    throw error;
  }
  limiter?.count(limitKey(visit, sender));
  return visit;
}

async function answer(request: Request, sender: Sender, { app, way }: { app: App; way: Way }): Promise<Response> {
  const { cors, log } = way;
  const startedAt = log ? performance.now() : 0;
  const refused = cors?.preflight(request) ?? unwelcome(request, way.rules);
  if (refused) log?.answered({ request, response: refused, startedAt });
  const response = refused ?? (await app.fetch(request, sender));
  return cors ? cors.label(request, response) : response;
}

function unwelcome(request: Request, rules: GuardRules): Response | undefined {
  const refusal = guard(request, rules);
  return refusal ? problem(refusal) : unusable(request.url);
}

/** The answer to an address that is not worth reading. */
function unusable(url: string): Response | undefined {
  if (url.length > pathLengthMax) return plainProblem(414, "URI Too Long", `an address has at most ${pathLengthMax} characters`);
  if (url.includes("&") && url.split("&").length > parametersMax)
    return problem(invalidInput(`a query has at most ${parametersMax} parameters`, [{ path: "", reason: "too many parameters" }]));
  if (!url.includes("%")) return undefined;
  // The router leaves a malformed escape as it is, and an entity would be made under a name that nobody meant.
  try {
    decodeURIComponent(url);
    return undefined;
  } catch {
    const reason = "malformed percent-encoding";
    return problem(invalidInput(`the address holds ${reason}; a percent sign itself is written %25`, [{ path: "", reason }]));
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
