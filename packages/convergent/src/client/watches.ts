/** Watches of the parts of a client: what is to be watched is found out by the gateway's definition, with the first value that is asked for. */
import { isConvergentError } from "../errors/error.ts";
import { type Duration, durationMs } from "../host/duration.ts";
import { backoffMs, type Backoff } from "../host/backoff.ts";
import type { PartBody } from "../protocol/wire.ts";
import type { PartKind } from "./definition.ts";
import type { RemoteFindWatchOptions, RemoteWatchOptions } from "./facade.ts";
import type { Overlays } from "./optimistic.ts";
import { segment } from "./path.ts";
import type { Reach } from "./reach.ts";
import { type Watch, Watching } from "./watch.ts";
import type { Conditions, FollowOptions, WatchSource, WatchTarget } from "./watch-source.ts";

/** What the parts of one client share. */
export interface Shared extends Reach {
  /** The one place where news come from. */
  readonly source: WatchSource;
  readonly overlays: Overlays;
}

type Options = RemoteWatchOptions & { readonly optimistic?: boolean };

const intervalDefault: Duration = "5s";
/** While the gateway's definition is not to be had. */
const backoff: Backoff = { firstMs: 500, maxMs: 5000, factor: 2 };

/** A document, an entity or a saga, whichever the part is. */
export function watchOne(shared: Shared, key: string, id: string, options: Options = {}): Watch<unknown> {
  segment(id, "what is watched");
  return watching(shared, options, async (signal) => {
    const kind = (await shared.definition.kindOf(key, signal)) as PartKind | undefined;
    if (kind === "saga") return { kind, saga: await shared.definition.part(key, kind, signal), id };
    if (kind === "entity") return { kind, entity: await shared.definition.part(key, kind, signal), id };
    return { kind: "document", view: await shared.definition.part(key, "view", signal), key: id };
  });
}

/** A query. */
export function watchFind(
  shared: Shared,
  key: string,
  where: Conditions,
  options: RemoteFindWatchOptions & { readonly orderBy?: string; readonly optimistic?: boolean } = {},
): Watch<unknown> {
  const { after: _, interval: __, signal: ___, optimistic: ____, ...page } = options;
  return watching(shared, options, async (signal) => {
    const view: PartBody = await shared.definition.part(key, "view", signal);
    return { kind: "query", view, where, page };
  });
}

function watching(shared: Shared, options: Options, targetOf: (signal: AbortSignal) => Promise<WatchTarget>): Watch<unknown> {
  const intervalMs = durationMs(options.interval ?? intervalDefault);
  return new Watching<unknown>(async (put, run) => {
    const how: FollowOptions = { after: options.after, intervalMs, signal: run.signal };
    const target = await patiently(shared, run.signal, () => targetOf(run.signal));
    if (target.kind === "saga") for await (const { reading } of shared.source.follow(target, how)) put(reading);
    else if (options.optimistic) await shared.overlays.show(target, how, { put, failed: (error) => run.abort(error) });
    else await shared.overlays.read(target, how, put);
  }, options.signal);
}

async function patiently<T>({ transport }: Reach, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  const { timers, random } = transport.host;
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !isConvergentError(error) || error.retry !== "later") throw error;
      await timers.sleep(backoffMs(backoff, attempt, random), signal);
    }
  }
}
