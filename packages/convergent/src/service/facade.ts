/** The types of a running service, computed from its parts: what an editor completes while somebody types `orders.`. */
import type { CommandOptions } from "../entities/entity-runtime.ts";
import type { AnyEntity, Entity } from "../entities/entity.ts";
import type { Duration } from "../host/duration.ts";
import type { CancelSignal } from "../host/host.ts";
import type { Envelope } from "../log/event.ts";
import type { InputOf, Schemas } from "../log/schema.ts";
import type { StagedAppend, UserTransaction } from "../log/staging.ts";
import type { Token } from "../position/token.ts";
import type { Conflict, Outcome, Rejected } from "../protocol/outcome.ts";
import type { Condition, Counted, CountedPage, FindOptions, IndexValue, Page, Reading, ReadOptions } from "../protocol/reading.ts";
import type { SagaAccepted, SagaView } from "../protocol/saga.ts";
import type { AnyReaction } from "../reactions/reaction.ts";
import type { AnySaga, SagaInput, SagaResult } from "../sagas/saga.ts";
import type { SagaCallOptions, SagaTellOptions } from "../sagas/telling.ts";
import type { AnyQueries, QueryInput, QueryResult, SqlView } from "../views/sql-view.ts";
import type { AnyView, View } from "../views/view.ts";
import type { Planned, PlanOptions } from "./together.ts";

/** A part of a service, of any kind. */
export type AnyPart = AnyEntity | AnyView | AnyReaction | AnySaga;
/** Parts by the key that the program uses. */
export type AnyParts = Readonly<Record<string, AnyPart>>;

/** An entity as it is or was. */
export interface EntityState<State> {
  readonly state: State;
  readonly version: number;
  readonly pending: readonly string[];
  readonly token: Token;
}

/** Commands of one entity id, and reads of it beside them. */
export interface EntityFacade<State, Inputs extends Schemas> {
  /** The commands of the entity with this id. */
  (
    entityId: string,
  ): { readonly [Name in keyof Inputs & string]: (input: InputOf<Inputs[Name]>, options?: CommandOptions) => Promise<Outcome<State>> };
  /** The commands of the entity with this id as plans, which `together` runs. */
  plan(entityId: string): {
    readonly [Name in keyof Inputs & string]: (input: InputOf<Inputs[Name]>, options?: PlanOptions) => Planned<State>;
  };
  /**
   * The commands of the entity with this id, each decided now and appended at the COMMIT of a transaction of the caller's, together with
   * whatever else it holds. Throws what `Log.append` throws, and `already_done` for an id that took effect.
   */
  stage(
    entityId: string,
    tx: UserTransaction,
  ): {
    readonly [Name in keyof Inputs & string]: (
      input: InputOf<Inputs[Name]>,
      options?: CommandOptions,
    ) => Promise<StagedAppend | Rejected | Conflict<State>>;
  };
  /** The state now, as of a version, or as of a time. Throws `entity_not_found`. */
  state(entityId: string, when?: { readonly version?: number; readonly at?: Date }): Promise<EntityState<State>>;
  /** The audit trail, oldest first, after a version. Throws `entity_not_found`. */
  events(entityId: string, query?: { readonly after?: number; readonly limit?: number }): Promise<readonly Envelope[]>;
}

/** Reads of a view. */
export interface ViewFacade<Document, Index extends string> {
  /** One document; `undefined` when there is none. */
  get(key: string, options?: ReadOptions): Promise<Reading<Document | undefined>>;
  /** A page of documents by declared indexes: values, or ranges with both ends included. */
  find(
    where: Conditions<Document, Index>,
    options: FindOptions & { readonly orderBy?: Index; readonly count: true },
  ): Promise<CountedPage<Document>>;
  find(where: Conditions<Document, Index>, options?: FindOptions & { readonly orderBy?: Index }): Promise<Page<Document>>;
  /** How many documents meet the conditions. */
  count(where: Conditions<Document, Index>, options?: ReadOptions): Promise<Counted>;
}

/** Queries of a view that keeps tables of its own. */
export interface SqlViewFacade<Queries extends AnyQueries> {
  /** What each query answers, on one snapshot, with its label. Throws `invalid_input`, `sql_failed`, and what reads of views throw. */
  readonly query: {
    readonly [Name in keyof Queries]: (
      input: QueryInput<Queries[Name]>,
      options?: ReadOptions,
    ) => Promise<Reading<QueryResult<Queries[Name]>>>;
  };
}

/** Conditions on declared indexes. */
export type Conditions<Document, Index extends string> = {
  readonly [Field in Index]?: Condition<Extract<Document[Field & keyof Document], IndexValue>>;
};

/** Sagas of one definition: started, looked at, and seen to. Each throws `saga_not_found` for an id that there is none of. */
export interface SagaFacade<Input, Result> {
  /**
   * Starts a saga, once an id: the same id and input again answers the saga that there is. Resolves when that is durable. Throws
   * `saga_exists`, `invalid_input`.
   */
  start(id: string, input: Input, options?: SagaCallOptions): Promise<SagaAccepted>;
  get(id: string): Promise<SagaView<Input, Result>>;
  /** The saga once it has ended; as it is when it has not within `wait` (default "30s"). */
  end(id: string, options?: { readonly wait?: Duration; readonly signal?: CancelSignal }): Promise<SagaView<Input, Result>>;
  /** The saga as it becomes, the present state first, up to its end. */
  watch(id: string, options?: { readonly signal?: CancelSignal }): AsyncIterable<SagaView<Input, Result>>;
  /** Throws `saga_ended`. */
  signal(id: string, signal: string, data?: unknown, options?: SagaTellOptions): Promise<SagaAccepted>;
  /** Has it undo what it did. Throws `saga_ended`. */
  cancel(id: string, options: { readonly reason: string } & SagaTellOptions): Promise<SagaAccepted>;
  /** Has a parked one try again what failed. Throws `saga_ended`. */
  retry(id: string, options: SagaOperation): Promise<SagaAccepted>;
  /** Has a parked one take the undo that failed for done, because somebody has seen to it. Throws `saga_ended`. */
  resolve(id: string, options: SagaOperation): Promise<SagaAccepted>;
}

/** Why an operator sees to a parked saga, and who that is. */
export interface SagaOperation extends Pick<SagaTellOptions, "id" | "scope"> {
  readonly reason: string;
  readonly by: string;
}

/** What a running service offers for a part. */
export type Facade<Part> = Part extends AnySaga ? SagaFacade<SagaInput<Part>, SagaResult<Part>> : FacadeOfOther<Part>;

type FacadeOfOther<Part> =
  Part extends Entity<string, infer State, infer _Events, infer Inputs>
    ? EntityFacade<State, Inputs>
    : Part extends SqlView<string, infer Queries>
      ? SqlViewFacade<Queries>
      : Part extends View<string, infer Document, infer Index>
        ? ViewFacade<Document, Index>
        : never;

/** The parts of a service that can be called: reactions work by themselves. */
export type Facades<Parts extends AnyParts> = {
  readonly [Key in keyof Parts as Parts[Key] extends { readonly kind: "reaction" } ? never : Key]: Facade<Parts[Key]>;
};
