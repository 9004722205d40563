/**
 * Puts a client together. Its parts are made as they are named: what they are called on the wire is asked of the
 * gateway with the first call. `then` is never a part, so that a client may be returned from an async function.
 */
import type { Duration } from "../host/duration.ts";
import { durationMs } from "../host/duration.ts";
import type { Token } from "../position/token.ts";
import { headers as names } from "../protocol/wire.ts";
import { Definition } from "./definition.ts";
import { EntityClient } from "./entity-client.ts";
import type {
  Client,
  Overlay,
  RemoteCommandOptions,
  RemoteFindWatchOptions,
  RemoteReadOptions,
  RemoteVoidOptions,
  RemoteWatchOptions,
  Served,
} from "./facade.ts";
import { LiveConnection } from "./live-connection.ts";
import { LiveSource } from "./live-source.ts";
import { Overlays } from "./optimistic.ts";
import { nextClient, type Origin, withOrigin } from "./origin.ts";
import { actorName, idempotencyKey, usableHeaders } from "./path.ts";
import { PollingSource } from "./polling-source.ts";
import type { Reach } from "./reach.ts";
import { SagaClient } from "./saga-client.ts";
import { type HistoryLost, SessionMemory } from "./session.ts";
import { SessionTransport } from "./session-transport.ts";
import { type ClientHost, type MoreHeaders, Transport } from "./transport.ts";
import { Versions } from "./versions.ts";
import { ViewClient } from "./view-client.ts";
import { voidId } from "./void-id.ts";
import { type Shared, watchFind, watchOne } from "./watches.ts";
import type { Conditions, WatchSource } from "./watch-source.ts";

/** How a client behaves, and what it sends with every request. */
export interface ConnectOptions {
  /** Clock, randomness, timers and network; this machine's own unless given. */
  readonly host?: ClientHost;
  /** How long a request without an answer is repeated. Default "30s". */
  readonly retryFor?: Duration;
  /** How long one attempt may take, beside the wait that a read asks for. Default "10s". */
  readonly timeout?: Duration;
  /** Reads, too, raise what every later read asks for: a view never shows less than another one did before. */
  readonly causal?: boolean;
  /** What another page or process has seen. */
  readonly token?: Token | string;
  /** Who asks, kept with the events of every command that names nobody else. */
  readonly actor?: string;
  /** Headers of every request; a function is asked before each one, for credentials that expire. What it throws, the call throws, unless the outcome of a command is unknown by then. */
  readonly headers?: Readonly<Record<string, string>> | MoreHeaders;
  /** Told when a store was restored and no longer has what this session wrote or saw there. */
  readonly onHistoryLost?: (lost: HistoryLost) => void;
}

/** A client of the gateway at `url`, on a given host. Sends nothing before the first call. */
export function connectOn<Service extends Served>(host: ClientHost, url: string, options: ConnectOptions = {}): Client<Service> {
  const transport = new Transport({
    url,
    host,
    headers: usableHeaders({
      ...(options.actor === undefined ? {} : { [names.actor]: actorName(options.actor) }),
      ...(typeof options.headers === "object" ? options.headers : {}),
    }),
    ...(typeof options.headers === "function" ? { moreHeaders: options.headers } : {}),
    attemptMs: durationMs(options.timeout ?? "10s"),
    retryForMs: durationMs(options.retryFor ?? "30s"),
  });
  const session = new SessionMemory({
    causal: options.causal ?? false,
    ...(options.token === undefined ? {} : { token: options.token }),
  });
  const requests = new SessionTransport(transport, session, {
    onHistoryLost: (lost) => {
      shared.overlays.lost(lost);
      options.onHistoryLost?.(lost);
    },
  });
  const reach: Reach = { transport, session, requests, definition: new Definition(transport), versions: new Versions() };
  const source = sourceOf(reach);
  const shared: Shared = { ...reach, source, overlays: new Overlays(source) };
  const parts = new Map<string, unknown>();
  const client = nextClient();
  const newId = (): string => host.random.id();
  return named({}, (key) => {
    if (key === "session") return session;
    if (key === "voidId") return (id: string, options?: RemoteVoidOptions) => voidId(shared, id, options);
    const part = parts.get(key) ?? partOf({ client, part: key, newId }, shared);
    parts.set(key, part);
    return part;
  }) as Client<Service>;
}

/** Where news of watches come from: a socket, as far as the platform has them and one gets through. */
function sourceOf(reach: Reach): WatchSource {
  const polling = new PollingSource(reach);
  const { transport } = reach;
  if (!transport.host.network.socket) return polling;
  const connection = new LiveConnection({
    host: transport.host,
    url: `${transport.base}/live`,
    headers: () => transport.headers(),
    spared: [names.actor],
  });
  return new LiveSource(reach, connection, polling);
}

// Whether it is an entity, a view or a saga is known with the first call only, so a part offers what each of them does.
function partOf(origin: Origin, shared: Shared): unknown {
  const { part: key } = origin;
  const entity = new EntityClient(key, shared);
  const view = new ViewClient(key, shared);
  const saga = new SagaClient(key, shared);
  const commands = (entityId: string): unknown => named({}, (command) => commandOf(origin, { entityId, command }, { entity, shared }));
  const part = Object.assign(commands, {
    state: entity.state.bind(entity),
    events: entity.events.bind(entity),
    // Views and sagas both have one.
    get: async (id: string, options: RemoteReadOptions = {}) =>
      (await shared.definition.kindOf(key, options.signal)) === "saga" ? saga.get(id, options) : view.get(id, options),
    start: saga.start.bind(saga),
    end: saga.end.bind(saga),
    watch: (id: string, options?: RemoteWatchOptions) => watchOne(shared, key, id, options),
    watchFind: (where: Conditions, options?: RemoteFindWatchOptions) => watchFind(shared, key, where, options),
    overlay: (id: string, apply: Overlay["apply"]): Overlay => ({ part: key, key: id, apply }),
    signal: saga.signal.bind(saga),
    cancel: saga.cancel.bind(saga),
    retry: saga.retry.bind(saga),
    resolve: saga.resolve.bind(saga),
    find: view.find.bind(view),
    count: view.count.bind(view),
    pages: view.pages.bind(view),
    poll: view.poll.bind(view),
    query: named({}, (query) => (input: unknown, options?: RemoteReadOptions) => view.query(query, input, options)),
  });
  return withOrigin(part, origin);
}

type Run = (input: unknown, options?: RemoteCommandOptions) => ReturnType<EntityClient["run"]>;

function commandOf(
  origin: Origin,
  { entityId, command }: { readonly entityId: string; readonly command: string },
  { entity, shared }: { readonly entity: EntityClient; readonly shared: Shared },
): Run {
  const run: Run = async (input, { optimistic: overlays, ...options } = {}) => {
    if (!overlays) return entity.run({ entityId, command, input }, options);
    const id = idempotencyKey(options.id ?? origin.newId());
    const send = (): ReturnType<Run> => entity.run({ entityId, command, input }, { ...options, id });
    return shared.overlays.give({ id, entity: origin.part, entityId, overlays, send, signal: options.signal });
  };
  return withOrigin(run, origin);
}

// Names that promises, JSON and consoles look for on anything they are handed.
const reserved: ReadonlySet<string> = new Set(["then", "toJSON", "asymmetricMatch", "$$typeof", "nodeType"]);

function named(target: object, make: (name: string) => unknown): object {
  return new Proxy(target, {
    get: (given, name, receiver) =>
      typeof name === "string" && !reserved.has(name) && !(name in Object.prototype)
        ? make(name)
        : (Reflect.get(given, name, receiver) as unknown),
  });
}
