/**
 * Given, when, then: what a definition decides and what a view makes of events, without a store, a clock or a test runner. The code
 * that judges is the one that runs in a service: schemas with what they fill in, upcasters, decide, evolve, conflict
 * policies, folds. What it cannot show is time: for that, `explore`.
 */
import type { AnyEntity, Entity } from "../entities/entity.ts";
import type { AnyView, View } from "../views/view.ts";
import { type GivenEntity, givenEntity } from "./given-entity.ts";
import { type GivenView, givenView } from "./given-view.ts";
import type { PastEvent, ViewedEvent } from "./past.ts";

/** What an entity or a view may be given: `["placed", data]` for an entity, `["order.placed", "o-1", data]` for a view. */
export type PastOf<Part> =
  Part extends Entity<string, infer _State, infer Events, infer _Inputs>
    ? PastEvent<Events>
    : Part extends { readonly kind: "view"; readonly from: infer From extends readonly AnyEntity[] }
      ? ViewedEvent<From[number]>
      : never;

/** What can be done with an entity or a view and its past. */
export type Given<Part> =
  Part extends Entity<string, infer State, infer Events, infer Inputs>
    ? GivenEntity<State, Events, Inputs>
    : Part extends View<string, infer Document, infer _Index>
      ? GivenView<Document>
      : never;

/**
 * Begins a check of an entity, `given(order, [["placed", data]]).when("amend", input).thenEvents(["amended", data])`, or of a view,
 * `given(summary, [["order.placed", "o-1", data]]).thenDocument("o-1", document)`. Await what it ends in: a promise that rejects with
 * an `Error` whose message shows what was wanted and what came. `{ version: 1 }` behind an event's data says that it was written
 * as that version of it, for upcasters to bring up to date.
 */
export function given<Part extends AnyEntity | AnyView>(part: Part, events: ReadonlyArray<PastOf<Part>> = []): Given<Part> {
  switch (part.kind) {
    case "entity":
      return givenEntity(part, events as unknown as Parameters<typeof givenEntity>[1]) as Given<Part>;
    case "view":
      return givenView(part, events as unknown as Parameters<typeof givenView>[1]) as Given<Part>;
    default:
      throw new Error(`given(${JSON.stringify((part as { readonly name?: unknown }).name)}): give an entity or a view`);
  }
}
