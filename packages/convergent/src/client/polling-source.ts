/**
 * News by asking, for wherever no socket gets through. What is behind what this session wrote is asked for at the pace the server
 * measured; what is fresh ever more rarely, up to the interval; and every write of this session is a reason to ask at once. What a
 * gateway says is unchanged costs no body. A gateway that does not answer is waited for: a watch outlives it.
 */
import { isConvergentError } from "../errors/error.ts";
import type { CancelSignal } from "../host/host.ts";
import { emptyToken, mergeTokens, type Token } from "../position/token.ts";
import type { SagaView } from "../protocol/saga.ts";
import type { VisibilityMs } from "../protocol/wire.ts";
import { throwIfCancelled } from "./cancellation.ts";
import { EntityClient } from "./entity-client.ts";
import { jittered, pauseOf, pollIntervals } from "./poller.ts";
import type { Reach } from "./reach.ts";
import { SagaClient } from "./saga-client.ts";
import { type Asked, ViewClient } from "./view-client.ts";
import type { FollowOptions, News, WatchSource, WatchTarget } from "./watch-source.ts";

/** What every answer of a view or an entity says of itself. */
interface Labelled {
  readonly token: Token;
  readonly fresh: boolean;
  readonly unchecked?: readonly string[];
  readonly visibilityMs?: VisibilityMs;
}

type Ask = (known: Asked<Labelled> | undefined) => Promise<Asked<Labelled>>;

export class PollingSource implements WatchSource {
  readonly #reach: Reach;

  constructor(reach: Reach) {
    this.#reach = reach;
  }

  async *follow(target: WatchTarget, options: FollowOptions): AsyncGenerator<News, void, undefined> {
    if (target.kind === "saga") yield* this.#saga(target, options);
    else yield* this.#asking(this.#question(target, options), options);
  }

  #question(target: Exclude<WatchTarget, { kind: "saga" }>, { after, signal }: FollowOptions): Ask {
    const how = { after, wait: "0s", signal } as const;
    switch (target.kind) {
      case "document": {
        const view = new ViewClient(target.view.key, this.#reach);
        return (known) => view.ask(target.key, { ...how, known: known as Asked<never> | undefined });
      }
      case "query": {
        const view = new ViewClient(target.view.key, this.#reach);
        return () => view.askPage(target.where, { ...target.page, ...how });
      }
      case "entity": {
        const entity = new EntityClient(target.entity.key, this.#reach);
        return (known) => entity.ask(target.id, { ...how, known: known as Asked<never> | undefined });
      }
    }
  }

  async *#asking(ask: Ask, { intervalMs, signal }: FollowOptions): AsyncGenerator<News, void, undefined> {
    const { random } = this.#reach.transport.host;
    const writes = new Writes(this.#reach, signal);
    try {
      let known: Asked<Labelled> | undefined;
      let shown: News | undefined;
      let intervals = pollIntervals(undefined, { maxMs: intervalMs });
      for (let attempt = 1; ; attempt++) {
        const writtenBefore = writes.count;
        const asked = await answered(ask, known, signal);
        const news = asked && newsOf(asked);
        if (asked && news && (!shown || isNew(news, shown))) {
          const wasFresh = known?.reading.fresh ?? true;
          // How long it takes is measured by the wait for a write; without one by how long nothing was new.
          if (wasFresh || asked.reading.fresh) {
            intervals = pollIntervals(asked.reading.fresh ? undefined : asked.reading.visibilityMs, { maxMs: intervalMs });
            attempt = 1;
          }
          shown = news;
          yield news;
        }
        known = asked ?? known;
        if (writes.count > writtenBefore) continue;
        const pace = {
          attempt,
          intervalMs: intervals.next().value,
          retryAfterMs: asked?.retryAfterMs ?? 0,
          isMeasured: asked?.reading.visibilityMs !== undefined,
        };
        const isWritten = await writes.within(Math.min(intervalMs, jittered(pauseOf(pace), random.fraction())));
        if (!isWritten) continue;
        intervals = pollIntervals(undefined, { maxMs: intervalMs });
        attempt = 0;
      }
    } finally {
      writes.end();
    }
  }

  async *#saga({ saga, id }: Extract<WatchTarget, { kind: "saga" }>, { signal }: FollowOptions): AsyncGenerator<News, void, undefined> {
    const client = new SagaClient(saga.key, this.#reach);
    let version = -1;
    for (;;) {
      try {
        for await (const view of client.follow(id, { signal })) {
          if (view.version > version) yield sagaNews(view);
          ({ version } = view);
        }
        return;
      } catch (error) {
        throwIfCancelled(signal);
        if (!mayPass(error)) throw error;
      }
    }
  }
}

/** The answer; `undefined` when there was none and the next question may have one. */
async function answered(ask: Ask, known: Asked<Labelled> | undefined, signal: CancelSignal): Promise<Asked<Labelled> | undefined> {
  try {
    return await ask(known);
  } catch (error) {
    throwIfCancelled(signal);
    if (mayPass(error)) return undefined;
    throw error;
  }
}

// An entity that others' writes may yet cause is not there yet; one that is said not to be there is not waited for.
function mayPass(error: unknown): boolean {
  if (!isConvergentError(error)) return false;
  return error.retry === "later" || (error.code === "entity_not_found" && error.details["fresh"] === false);
}

function newsOf({ reading, token }: Asked<Labelled>): News {
  const unchecked = reading.unchecked ?? [];
  const met = reading.fresh ? unchecked.reduce((rest, store) => rest.without(store), token) : emptyToken;
  return { reading, at: reading.token, covers: mergeTokens(reading.token, met) };
}

function sagaNews(view: SagaView<unknown, unknown>): News {
  return { reading: view, at: view.token, covers: view.token };
}

function isNew(news: News, shown: News): boolean {
  return (
    String(news.covers) !== String(shown.covers) ||
    (news.reading as Labelled).fresh !== (shown.reading as Labelled).fresh ||
    valueText(news.reading) !== valueText(shown.reading)
  );
}

// Everything but the label, which grows older by itself.
function valueText(reading: unknown): string {
  const { value, state, version, pending, parked, count } = reading as Readonly<Record<string, unknown>>;
  return JSON.stringify([value, state, version, pending, parked, count]);
}

/** The writes of a session while somebody waits for news. */
class Writes {
  count = 0;
  #wake: (() => void) | undefined;
  readonly #reach: Reach;
  readonly #signal: CancelSignal;
  readonly #forget: () => void;

  constructor(reach: Reach, signal: CancelSignal) {
    this.#reach = reach;
    this.#signal = signal;
    this.#forget = reach.session.onWrote(() => {
      this.count++;
      this.#wake?.();
    });
  }

  /** Whether something is written within so many milliseconds. Rejects with the signal's reason. */
  async within(ms: number): Promise<boolean> {
    const waiting = new AbortController();
    const stop = (): void => waiting.abort();
    this.#wake = stop;
    this.#signal.addEventListener("abort", stop);
    try {
      await this.#reach.transport.host.timers.sleep(ms, waiting.signal);
      throwIfCancelled(this.#signal);
      return false;
    } catch (error) {
      throwIfCancelled(this.#signal);
      if (!waiting.signal.aborted) throw error;
      return true;
    } finally {
      this.#wake = undefined;
      this.#signal.removeEventListener("abort", stop);
    }
  }

  end(): void {
    this.#forget();
  }
}
