/** Sagas that have not ended, as a view: what a process looks through for those that nobody runs, and an operator for those that are parked. */
import type { Envelope } from "../log/event.ts";
import type { Schema } from "../log/schema.ts";
import type { Facts } from "../sagas/facts.ts";
import type { AnySaga } from "../sagas/saga.ts";
import type { SagaOptions, Unfinished } from "../sagas/saga-runtime.ts";
import type { Membership } from "../readers/membership.ts";
import { type AnyView, view } from "../views/view.ts";
import type { ViewRuntime } from "../views/view-runtime.ts";

/** Documents asked for at a time: what a page may have at most. */
const pageDocuments = 500;

/**
 * So much is gathered before the view follows: it is for those who look for orphans. Following each start and each end at once cost more than the
 * saga itself; most sagas are over by then, and leave no row.
 */
export const unfinishedMs = 100;

/** A saga that has not ended. */
export interface UnfinishedSaga {
  readonly state: "running" | "parked";
  /** Of the process that runs it; empty while nobody has taken what a reaction has started. */
  readonly owner: string;
  /** When it was started, or a parent had it undo what it had completed, in milliseconds. */
  readonly since: number;
  /** Why it is parked. */
  readonly error?: string;
}

/** Its documents are written here and nowhere else. */
const document: Schema<unknown, UnfinishedSaga> = {
  "~standard": { version: 1, vendor: "convergent", validate: (value) => ({ value: value as UnfinishedSaga }) },
};

/** What the view of a saga's unfinished ones is called. */
export function unfinishedName(saga: string): string {
  return `${saga}-unfinished`;
}

export function unfinishedOf({ name, entity }: AnySaga): AnyView {
  type Handler<Fact extends keyof Facts> = (known: UnfinishedSaga | undefined, data: Facts[Fact], at: number) => UnfinishedSaga | undefined;
  const of =
    <Fact extends keyof Facts>(handler: Handler<Fact>) =>
    (known: UnfinishedSaga | undefined, event: Envelope) =>
      handler(known, event.data as Facts[Fact], event.at);
  const handlers = {
    started: of<"started">((_, { owner }, since) => ({ state: "running", owner, since })),
    taken: of<"taken">((known, { owner }) => known && { ...known, owner }),
    parked: of<"parked">((known, { error }) => known && { ...known, state: "parked", error }),
    resumed: of<"resumed">((known, { owner }) => known && { state: "running", owner, since: known.since }),
    reverted: of<"reverted">((_, { owner }, since) => ({ state: "running", owner, since })),
    completed: of<"completed">(() => undefined),
    compensated: of<"compensated">(() => undefined),
  };
  const shape = { from: [entity], document, key: (event: Envelope) => event.entityId, indexes: ["state"] as const };
  return view(unfinishedName(name), shape).on(
    Object.fromEntries(Object.entries(handlers).map(([fact, handler]) => [`${name}.${fact}`, handler])),
  );
}

/** What a saga's runtime finds its work by. */
export function workOf(unfinished: ViewRuntime, membership: Membership): SagaOptions["work"] {
  return {
    self: membership.id,
    live: () => new Set(membership.live.map(({ id }) => id)),
    isOurs: (id) => unfinished.reader.places?.owns(id) ?? false,
    slots: () => unfinished.reader.places?.ownedText ?? "",
    running: async function* (): AsyncGenerator<Unfinished> {
      for (let cursor: string | undefined; ; ) {
        const page = await unfinished.find({ state: "running" }, { limit: pageDocuments, ...(cursor === undefined ? {} : { cursor }) });
        for (const { key, value } of page.value) yield { id: key, owner: (value as UnfinishedSaga).owner };
        if (page.cursor === undefined) return;
        ({ cursor } = page);
      }
    },
  };
}
