/** The subjects of one gateway that are watched, each once. */
import { catalogue, type FindOptions, hasEnded, isConvergentError, type Condition, type Page, type SagaReading } from "convergent";
import type { EntityEntry, SagaEntry, ViewEntry } from "../gateway/directory.ts";
import { noSaga, sagaBodyOf } from "../gateway/saga-routes.ts";
import { tagOf } from "./cursor.ts";
import { EntityFeed } from "./entity-feed.ts";
import { type Newest, NewestPage, NewestValue, type Rest, type Standing } from "./newest.ts";
import { Topic, type TopicOptions } from "./topic.ts";
import { ViewFeed } from "./view-feed.ts";

export interface Query {
  readonly conditions: Readonly<Record<string, Condition>>;
  readonly options: FindOptions;
}

/** What a reading of a view says of itself. */
type Read = Pick<Page<unknown>, "asOf" | "behind" | "token">;

type OnError = (error: unknown) => void;

export class Topics {
  readonly #topics = new Map<string, Topic>();
  readonly #viewFeeds = new Map<string, ViewFeed>();
  readonly #entityFeeds = new Map<string, EntityFeed>();
  readonly #onError: OnError;

  constructor(onError: OnError) {
    this.#onError = onError;
  }

  get size(): number {
    return this.#topics.size;
  }

  document(view: ViewEntry, key: string): Topic {
    return this.#viewTopic(view, ["document", view.definition.name, key], async (standing) => {
      const { value, parked, ...label } = await view.runtime.text(key);
      const rest = typeof parked === "object" ? { parked } : {};
      return new NewestValue(standing(label), value ?? "null", {
        rest,
        parts: parked === undefined ? "" : JSON.stringify(parked),
      });
    });
  }

  query(view: ViewEntry, { conditions, options }: Query): Topic {
    const sorted = Object.entries(conditions).sort(([one], [other]) => (one < other ? -1 : 1));
    return this.#viewTopic(view, ["query", view.definition.name, sorted, options], async (standing) => {
      const page: Page<unknown> = await view.runtime.find(conditions, options);
      const items = page.value.map(({ key, value }) => ({ key, text: JSON.stringify(value) }));
      const { cursor: next, parked } = page;
      const rest = { ...(next === undefined ? {} : { next }), ...(typeof parked === "number" ? { parked } : {}) };
      return new NewestPage(standing(page), items, rest);
    });
  }

  entity(entity: EntityEntry, id: string): Topic {
    const { service, name } = entity;
    const { log } = service;
    return this.#topic(["entity", name, id], {
      version: 0,
      ...this.#hostOf(service),
      look: async () => {
        const asOf = (await log.head()).position;
        const token = String(await log.tokenAt(asOf));
        const standing = { target: targetOf(["entity", name, id]), epoch: log.epoch.id, version: 0, asOf, isWhole: true, token };
        try {
          const { state, version, pending } = await entity.runtime.read(id);
          const rest = { version, ...(pending.length > 0 ? { pending } : {}) };
          return new NewestValue(standing, JSON.stringify(state), { rest, parts: String(version), absent: noEntity });
        } catch (error) {
          if (!isConvergentError(error, "entity_not_found")) throw error;
          return new NewestValue(standing, "null", { rest: noEntity });
        }
      },
      follow: (topic) => feedOf(this.#entityFeeds, service.name, () => new EntityFeed(service)).follow(topic, name, id),
    });
  }

  saga(saga: SagaEntry, id: string): Topic {
    const identity = ["saga", saga.name, id];
    const newestOf = (reading: SagaReading): Newest => {
      const { log } = saga.service;
      const { token, version, ...body } = sagaBodyOf(reading);
      const standing = { target: targetOf(identity), epoch: log.epoch.id, version: 0, asOf: positionOf(reading), isWhole: true, token };
      return new NewestValue(standing, JSON.stringify(body), { rest: { version }, parts: String(version), seen: reading.state });
    };
    return this.#topic(identity, {
      version: 0,
      ...this.#hostOf(saga.service),
      unseen: () => noSaga(saga, id),
      follow: (topic) => followSaga(topic, saga, { id, newestOf }),
    });
  }

  #viewTopic(view: ViewEntry, identity: readonly unknown[], look: (standing: (label: Read) => Standing) => Promise<Newest>): Topic {
    const { service, definition } = view;
    const target = targetOf(identity);
    const standing = ({ asOf, behind, token }: Read): Standing => ({
      target,
      epoch: service.log.epoch.id,
      version: definition.version,
      asOf,
      isWhole: behind.positions === 0,
      token: String(token),
      behind,
    });
    return this.#topic(identity, {
      version: definition.version,
      ...this.#hostOf(service),
      look: () => look(standing),
      follow: (topic) => feedOf(this.#viewFeeds, definition.name, () => new ViewFeed(view)).follow(topic),
    });
  }

  #hostOf({ log }: ViewEntry["service"]): Pick<TopicOptions, "epoch" | "head" | "timers" | "now"> {
    const { timers, clock } = log.host;
    return { epoch: () => log.epoch.id, head: async () => (await log.head()).position, timers, now: () => clock.elapsed() };
  }

  #topic(identity: readonly unknown[], options: Omit<TopicOptions, "target" | "onLeft" | "onError">): Topic {
    const key = JSON.stringify(identity);
    const known = this.#topics.get(key);
    if (known) return known;
    const onLeft = (): void => void (this.#topics.get(key) === topic && this.#topics.delete(key));
    const topic: Topic = new Topic({ ...options, target: targetOf(identity), onLeft, onError: this.#onError });
    this.#topics.set(key, topic);
    return topic;
  }
}

const noEntity: Rest = { version: 0 };

function targetOf(identity: readonly unknown[]): string {
  return tagOf(JSON.stringify(identity));
}

function feedOf<Feed>(feeds: Map<string, Feed>, name: string, make: () => Feed): Feed {
  const known = feeds.get(name) ?? make();
  feeds.set(name, known);
  return known;
}

/** The position of the saga's newest event. */
function positionOf({ token }: SagaReading): number {
  return token.entries[0]?.position ?? 0;
}

/** How often a parked saga is looked at: an operator may let it go on, through whatever process. */
const parkedMs = 1_000;

/** From a store that was away to the next attempt. */
const retryMs = 500;

function followSaga(
  topic: Topic,
  { runtime, service }: SagaEntry,
  { id, newestOf }: { readonly id: string; readonly newestOf: (reading: SagaReading) => Newest },
): () => void {
  const { timers } = service.log.host;
  const controller = new AbortController();
  const { signal } = controller;
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      let pauseMs = parkedMs;
      try {
        for await (const reading of runtime.watch(id, signal)) {
          topic.publish(newestOf(reading));
          if (hasEnded(reading.state.status) && reading.state.status !== "parked") return;
        }
        // Nobody tells when an operator lets it go on: who joins is told what it is then, and not that it is parked.
        topic.newest = undefined;
      } catch (error) {
        if (!isConvergentError(error) || catalogue[error.code].retry !== "later") return topic.fail(error);
        pauseMs = retryMs;
      }
      if (!signal.aborted) await timers.sleep(pauseMs);
    }
  };
  void follow();
  return () => controller.abort();
}
