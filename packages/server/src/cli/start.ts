/** `convergent start`: services of a module, each on a store of its own, connected in this process, behind one gateway. */
import { join, relative } from "node:path";
import {
  type AnyService,
  ConvergentError,
  type Duration,
  type Fork,
  inProcess,
  type Running,
  type Stuck,
  type UnknownEvents,
} from "convergent";
import { serve } from "../gateway/server.ts";
import { type Lags, lagsFor, lagsOfService } from "./lag.ts";
import { loadModule } from "./load-module.ts";
import { type LogLevel, requestLogger } from "./request-lines.ts";
import { exportedServices, sourcesOf } from "./service-order.ts";
import { driverOf, isPostgres, shown } from "./store-place.ts";
import { rebuildSentence } from "./view-list.ts";

const portDefault = 4000;

export interface StartOptions {
  readonly data: string;
  readonly store?: string;
  readonly port?: number;
  readonly log: LogLevel;
  readonly drainFor: Duration;
  readonly lag?: Lags;
}

export async function start(module: string, options: StartOptions): Promise<void> {
  const { services, port, gateway } = exportedServices(await loadModule(module), module);
  const lags = lagsFor(services, options.lag, process.env["CONVERGENT_LAG"]);
  const running = new Map<AnyService, Running>();
  const stopAll = async (): Promise<void> => {
    for (const service of [...running.values()].reverse()) await service.stop();
  };
  try {
    for (const service of services) {
      running.set(service, await startOne(service, { options, lags }, running));
    }
    const server = await serve({
      log: requestLogger(options.log),
      drainFor: options.drainFor,
      ...gateway,
      services: [...running.values()],
      port: options.port ?? portOf(process.env["PORT"]) ?? port ?? portDefault,
    });
    console.log(`${server.url} serves ${services.map((service) => service.name).join(", ")}; Ctrl-C stops it`);
    await interrupted();
    await server.close();
  } finally {
    await stopAll();
  }
}

async function startOne(
  service: AnyService,
  { options, lags }: { readonly options: StartOptions; readonly lags: Lags },
  running: ReadonlyMap<AnyService, Running>,
): Promise<Running> {
  const path = storeOf(service, options);
  const channels = sourcesOf(service, [...running.keys()]).map((source) => inProcess(running.get(source) as Running));
  const lag = lagsOfService(service, lags);
  const started = await service.start({
    lag,
    store: await driverOf(path, isPostgres(path) ? { keys: join(options.data, `${service.name}-keys`), directory: options.data } : {}),
    channels,
    onRefusal: ({ reaction, entity, entityId, command, reason }) =>
      console.error(`${service.name}: ${reaction} asked ${entity}/${entityId} to ${command}, which was refused: ${reason}`),
    onStuck: (stuck) => console.error(stuckSentence(stuck)),
    onParked: ({ reader, key, event, error, attempts }) =>
      console.error(
        `${service.name}: ${reader} parked "${key}" at event ${event.position} (${event.type}) after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}: ${error}. See: convergent parked list --store ${shown(path)}`,
      ),
    onFork: (fork) => console.error(forkSentence(fork)),
    onSnapshotRefused: ({ entity, stream, reason }) =>
      console.error(`${service.name}: no snapshots of ${entity} are kept, because JSON cannot hold the state of ${stream}: ${reason}`),
    onRebuild: (news) => console.log(rebuildSentence(news)),
    onOrphaned: ({ view, versions }) =>
      console.error(
        `${service.name}: the store holds rows of the view ${view} (version ${versions.join(", ")}), which no part of the service names; to delete them: convergent view drop ${view} --store ${shown(path)}`,
      ),
    onUnknown: (unknown) => console.error(unknownSentence(unknown)),
  });
  console.log(`${service.name} has its store in ${isPostgres(path) ? shown(path) : relative(process.cwd(), path) || path}`);
  for (const [reader, range] of Object.entries(lag))
    console.log(`${service.name}: the reader ${reader} is late by ${range}, on purpose (--lag)`);
  return started;
}

/** A file of its own, or a schema of its own in the database that is named. Throws `invalid_input`. */
function storeOf({ name }: AnyService, { data, store }: StartOptions): string {
  if (store === undefined) return join(data, `${name}.db`);
  if (!isPostgres(store) || !URL.canParse(store) || new URL(store).searchParams.has("schema"))
    throw new ConvergentError(
      "invalid_input",
      "--store is the URL of a PostgreSQL database without a schema, because each service has the one of its name; files lie in --data",
    );
  const url = new URL(store);
  url.searchParams.set("schema", name);
  return url.href;
}

/** What an operator reads when a reader does not get on, and what ends it. */
function stuckSentence({ service, reader, event, message, attempts }: Stuck): string {
  const where = event ? `event ${event.position} (${event.type} of ${event.stream})` : "an event";
  return `${service}: the reader ${reader} is stuck at ${where}, tried ${attempts} times: ${message}. It goes on trying; correct its definition and start again, or for a view see: convergent view reset ${reader}`;
}

/** What an operator reads when an older copy of a store was put in place by hand. */
function forkSentence({ store, by, epoch, fork, lost }: Fork): string {
  const witness = { witness: "the witness file beside it", token: "a token", checkpoint: "a follower's checkpoint" }[by];
  return `${store}: the store is an older copy of itself: ${witness} knows position ${lost}, and the log agrees with that history up to ${fork} at most. The epoch ${epoch.id} begins at ${epoch.first}; tokens and checkpoints past ${fork} are answered with token_epoch`;
}

/** What an operator reads when the log holds events that this release has no definition for. */
function unknownSentence({ service, entity, types, isPart }: UnknownEvents): string {
  const what = `${service}: the log holds events of "${entity}" that no definition knows: ${types.join(", ")}`;
  return isPart
    ? `${what}. Where they are met they fail by name; run the release that has them, or name them in \`retired\``
    : `${what}. The entity is no part of this release; bring it back under its name if its events still count`;
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new ConvergentError("invalid_input", `PORT is "${text}"; a port is a number from 0 to 65535`);
}

/** Resolves at the first Ctrl-C or SIGTERM; a second one does not wait. */
function interrupted(): Promise<void> {
  return new Promise((finish) => {
    const signals = ["SIGINT", "SIGTERM"] as const;
    for (const signal of signals)
      process.once(signal, () => {
        for (const again of signals) process.on(again, () => process.exit(130));
        finish();
      });
  });
}
