/**
 * The types of a client, computed from the definitions of the services behind one gateway. Parts are recognised by
 * their structure (`kind`, `initial`, `commands`, `document`, `indexes`), so that a page that imports a service's type
 * loads none of its code. States and documents are what JSON leaves of them.
 */
import type { Expected } from "../log/append.ts";
import type { Envelope } from "../log/event.ts";
import type { InputOf, Schema } from "../log/schema.ts";
import type { Duration } from "../host/duration.ts";
import type { CancelSignal } from "../host/host.ts";
import type { Token } from "../position/token.ts";
import type { Accepted, Conflict, ConflictPolicy, Rejected } from "../protocol/outcome.ts";
import type { Condition, Counted, CountedPage, FindOptions, Found, IndexValue, Page, Reading, ReadOptions } from "../protocol/reading.ts";
import type { SagaAccepted, SagaView } from "../protocol/saga.ts";
import type { VisibilityMs } from "../protocol/wire.ts";
import type { Refusal } from "./layers.ts";
import type { Session } from "./session.ts";
import type { Watch } from "./watch.ts";

/** A definition as `service()` returns it; only its parts matter here. */
export interface Served {
  readonly parts: Readonly<Record<string, { readonly kind: string }>>;
}

/** What a command is sent with. */
export interface RemoteCommandOptions {
  /** Names this request: the same id again has no further effect and gets the first answer. Made by the client when missing. */
  readonly id?: string;
  /** What the caller believes the entity to be. Default `"any"`. */
  readonly expected?: Expected;
  /** What to do when the entity is not as expected. Default: what the command declares, else `"reject"`. */
  readonly onConflict?: ConflictPolicy;
  /** Who asks; kept with the events. Default: the actor given to `connect`. */
  readonly actor?: string;
  /**
   * Shows the effect at once, on every watch that is `optimistic` and that these lie over, until the watched value itself holds it, which
   * its position tells. Refused, it is taken back at once; with an unknown outcome it stays, and the same id again settles it. Such commands
   * of one entity, and those that lie over the same value, are sent one after another.
   */
  readonly optimistic?: readonly Overlay[];
  /** Stops waiting and retrying, and rejects with the signal's reason. The command may have taken effect all the same. */
  readonly signal?: CancelSignal;
}

/** An accepted command, with how long its views took to follow lately. */
export interface RemoteAccepted<State> extends Accepted<State> {
  /**
   * The state right after this command: nobody needs to read it back. `undefined`, as in a conflict, where the gateway's
   * policy lets this caller command the entity and not read it; the type leaves that out, because whoever may read would
   * have to ask for it each time.
   */
  readonly state: State;
  /** Write → visible, as the server measured it; absent until it has measured anything. */
  readonly visibilityMs?: VisibilityMs;
}

/** What came of a command: it took effect, the entity refused it, or the entity is not as expected. */
export type RemoteOutcome<State> = RemoteAccepted<State> | Rejected | Conflict<State>;

/** An entity as it is or was. */
export interface RemoteState<State> {
  readonly state: State;
  readonly version: number;
  readonly pending: readonly string[];
  readonly token: Token;
  /** It knows all that the token asked for names; false when effects of other services' writes were still on their way. */
  readonly fresh: boolean;
  /** Stores named by the token asked for of which nothing is known here. */
  readonly unchecked?: readonly string[];
}

/** Which state of an entity is read, and how long it may take. */
export interface RemoteStateOptions {
  /** As of this version. */
  readonly version?: number;
  /** As of this time. */
  readonly at?: Date;
  /** What must have been seen: its own log always is, the effects of other services' writes are waited for. Default: all that this session wrote. */
  readonly after?: Token | string | null | undefined;
  /** How long to wait for that. Default "1s". */
  readonly wait?: Duration;
  /** Stops waiting, and rejects with the signal's reason. */
  readonly signal?: CancelSignal | undefined;
}

/** Which part of an audit trail is read. */
export interface RemoteEventsOptions {
  /** A version: the events after it. */
  readonly after?: number;
  /** At most so many. Default 1000. */
  readonly limit?: number;
  /** Stops waiting, and rejects with the signal's reason. */
  readonly signal?: CancelSignal;
}

/** How fresh a document must be, and how long to wait for that. */
export interface RemoteReadOptions extends Omit<ReadOptions, "after"> {
  /** What must have been seen. Default: everything this session wrote. `null`: nothing, not even what this session read before. */
  readonly after?: Token | string | null;
}

/** Which page of a query is read, how fresh it must be, and how long to wait for that. */
export interface RemoteFindOptions extends Omit<FindOptions, "after"> {
  /** What must have been seen. Default: everything this session wrote. `null`: nothing, not even what this session read before. */
  readonly after?: Token | string | null;
}

/** What a poll waits for, and when it gives up. */
export interface PollOptions<Value> {
  /** What must have been seen. Default: everything this session wrote. */
  readonly after?: Token | string | null;
  /** What else must hold, for example that a part which comes later is there. */
  readonly until?: (reading: RemoteReading<Value>) => boolean;
  /** After so long the last reading is answered as it is. Default "30s". */
  readonly timeout?: Duration;
  /** Longest wait between two questions. Default "5s". */
  readonly interval?: Duration;
  /** Stops polling: the promise rejects with the signal's reason. */
  readonly signal?: CancelSignal;
  /** Called after each answer that does not end the polling. */
  readonly onAttempt?: (attempt: PollAttempt<Value>) => void;
}

/** An answer that did not end a poll. */
export interface PollAttempt<Value> {
  /** From 1 on. */
  readonly attempt: number;
  readonly reading: RemoteReading<Value>;
  /** The next question follows after so many milliseconds. */
  readonly nextMs: number;
}

/** A value of a view and how fresh it is, as the gateway answered. */
export interface RemoteReading<Value> extends Reading<Value> {
  readonly visibilityMs?: VisibilityMs;
}

/** A count and how fresh it is, as the gateway answered. */
export interface RemoteCounted extends Counted {
  readonly visibilityMs?: VisibilityMs;
}

/** A page of documents and how fresh it is, as the gateway answered. */
export interface RemotePage<Document> extends Page<Document> {
  readonly visibilityMs?: VisibilityMs;
}

/** A page whose count was asked for. */
export interface RemoteCountedPage<Document> extends CountedPage<Document> {
  readonly visibilityMs?: VisibilityMs;
}

/** How something is watched. */
export interface RemoteWatchOptions {
  /** What a reading must have seen to be called fresh. Default: everything this session wrote by then. `null`: nothing. */
  readonly after?: Token | string | null;
  /** Longest wait between two questions, where there is no socket and the gateway is asked. Default "5s". */
  readonly interval?: Duration;
  /** Ends it: an iteration throws the signal's reason, a subscription just ends. */
  readonly signal?: CancelSignal;
}

/** Which page of a query is watched, and how. */
export interface RemoteFindWatchOptions extends RemoteWatchOptions, Pick<FindOptions, "limit" | "cursor" | "descending" | "count"> {}

/** A value as a page should show it: what the gateway answered, with what is pending laid over it. */
export interface Shown<Value, Reading> {
  readonly value: Value;
  /** Commands that lie over the value, because it does not hold them yet. */
  readonly pending: number;
  /**
   * `unknown`: of one of them nobody knows whether it took effect. Once none is pending, why the last one was taken back, until another
   * is given; else `confirmed`: the value is the gateway's own.
   */
  readonly status: "confirmed" | "pending" | "unknown" | Refusal["kind"];
  /** The last command that was taken back, and why, until another is given. */
  readonly refusal?: Refusal;
  /** Its conflict, if that was why. */
  readonly conflict?: Conflict<unknown>;
  /** What the gateway answered, with its label. */
  readonly reading: Reading;
}

/** What a value is to look like while a command is pending; made by `overlay` of a view or an entity. */
export interface Overlay {
  /** The name of the part in the program. */
  readonly part: string;
  readonly key: string;
  /** Pure: it is laid anew over every value that arrives meanwhile. */
  readonly apply: (value: never) => unknown;
}

/** Commands of one entity id, and reads of it beside them. */
export interface RemoteEntity<State, Inputs extends Readonly<Record<string, Schema>>> {
  /**
   * The commands of the entity with this id. Accepted, rejected and conflict are values. Without an answer a command
   * is repeated under its id until the limit given to `connect`; then it throws `outcome_unknown` with `details.id`.
   */
  (
    entityId: string,
  ): {
    readonly [Name in keyof Inputs & string]: (
      input: InputOf<Inputs[Name]>,
      options?: RemoteCommandOptions,
    ) => Promise<RemoteOutcome<State>>;
  };
  /** The state now, as of a version, or as of a time. Throws `entity_not_found`. */
  state(entityId: string, when?: RemoteStateOptions): Promise<RemoteState<State>>;
  /** The state as it becomes, the present one first. Throws `entity_not_found`. With `optimistic`, with what is pending laid over it. */
  watch(entityId: string, options: RemoteWatchOptions & { readonly optimistic: true }): Watch<Shown<State, RemoteState<State>>>;
  watch(entityId: string, options?: RemoteWatchOptions): Watch<RemoteState<State>>;
  /** What the state of this entity is to look like while a command is pending: for the option `optimistic` of a command. */
  overlay(entityId: string, apply: (state: State) => State): Overlay;
  /** The audit trail, oldest first, after a version; at most `limit` (1000) events. Throws `entity_not_found`. */
  events(entityId: string, query?: RemoteEventsOptions): Promise<readonly Envelope[]>;
}

/** Reads of a view. */
export interface RemoteView<Document, Index extends string> {
  /** One document; `undefined` when there is none. Never older than this session's writes and reads, unless it says `fresh: false`. */
  get(key: string, options?: RemoteReadOptions): Promise<RemoteReading<Document | undefined>>;
  /** A page of documents by declared indexes: values, or ranges with both ends included. */
  find(
    where: Where<Document, Index>,
    options: RemoteFindOptions & { readonly orderBy?: Index; readonly count: true },
  ): Promise<RemoteCountedPage<Document>>;
  find(where: Where<Document, Index>, options?: RemoteFindOptions & { readonly orderBy?: Index }): Promise<RemotePage<Document>>;
  /** How many documents meet the conditions. */
  count(where: Where<Document, Index>, options?: RemoteReadOptions): Promise<RemoteCounted>;
  /** Every page, one after another. */
  pages(where: Where<Document, Index>, options?: RemoteFindOptions & { readonly orderBy?: Index }): AsyncIterable<RemotePage<Document>>;
  /**
   * Asks again at the pace the server measured until the document is fresh and `until` holds; at the limit it answers
   * the last reading with `fresh: false`. Throws `unavailable` when not one answer came.
   */
  poll(key: string, options?: PollOptions<Document | undefined>): Promise<RemoteReading<Document | undefined>>;
  /** The document as it becomes, the present one first, and never an older one again. With `optimistic`, with what is pending laid over it. */
  watch(
    key: string,
    options: RemoteWatchOptions & { readonly optimistic: true },
  ): Watch<Shown<Document | undefined, RemoteReading<Document | undefined>>>;
  watch(key: string, options?: RemoteWatchOptions): Watch<RemoteReading<Document | undefined>>;
  /** A page as it becomes. With `optimistic`, with what is pending laid over the documents that are on it. */
  watchFind(
    where: Where<Document, Index>,
    options: RemoteFindWatchOptions & { readonly orderBy?: Index; readonly optimistic: true },
  ): Watch<Shown<ReadonlyArray<Found<Document>>, RemotePage<Document>>>;
  watchFind(where: Where<Document, Index>, options?: RemoteFindWatchOptions & { readonly orderBy?: Index }): Watch<RemotePage<Document>>;
  /** What this document is to look like while a command is pending, `undefined` when it is to be gone: for the option `optimistic` of a command. */
  overlay(key: string, apply: (document: Document | undefined) => Document | undefined): Overlay;
}

/** Queries of a view that keeps tables of its own. */
export interface RemoteSqlView<Queries> {
  /** What each query answers, with its label. Inputs travel in the address: they are short. */
  readonly query: {
    readonly [Name in keyof Queries]: (
      input: InputOfQuery<Queries[Name]>,
      options?: RemoteReadOptions,
    ) => Promise<RemoteReading<ResultOfQuery<Queries[Name]>>>;
  };
}

/** With what a saga is started. */
export interface RemoteSagaOptions {
  /** Who asks; kept with the events. Default: the actor given to `connect`. */
  readonly actor?: string;
  /** Stops waiting and retrying, and rejects with the signal's reason. What was asked for may have happened all the same. */
  readonly signal?: CancelSignal;
}

/** With what a saga is told something. */
export interface RemoteTellOptions extends RemoteSagaOptions {
  /** Names this request: the same id again has no further effect and gets the first answer. Made by the client when missing. */
  readonly id?: string;
}

/** How long the end of a saga is waited for. */
export interface RemoteEndOptions {
  /** After so long the saga is answered as it is. Default "30s". */
  readonly wait?: Duration;
  /** Stops waiting, and rejects with the signal's reason. */
  readonly signal?: CancelSignal;
}

/**
 * Sagas of one definition. Each call throws `saga_not_found` for an id that there is none of, and is repeated like a command when it gets
 * no answer: then it throws `outcome_unknown`, or `unavailable` when it only reads.
 */
export interface RemoteSaga<Input, Result> {
  /**
   * Starts a saga, once an id: the same id and input again answers the saga that there is. Without an id the client makes one, and the
   * answer says which. Resolves when it is durable; reads of this session ask for that from then on. Throws `saga_exists`, `invalid_input`.
   */
  start(id: string | undefined, input: Input, options?: RemoteSagaOptions): Promise<SagaAccepted>;
  /** The saga as it is. */
  get(id: string, options?: { readonly signal?: CancelSignal }): Promise<SagaView<Input, Result>>;
  /** The saga once it has ended; as it is when it has not within `wait`. The gateway holds its answer back, so that few are needed. */
  end(id: string, options?: RemoteEndOptions): Promise<SagaView<Input, Result>>;
  /** The saga as it becomes, the present state first, up to its end. A slow caller gets the newest state. */
  watch(id: string, options?: { readonly signal?: CancelSignal }): Watch<SagaView<Input, Result>>;
  /** Gives a running saga a signal. Throws `saga_ended`. */
  signal(id: string, signal: string, data?: unknown, options?: RemoteTellOptions): Promise<SagaAccepted>;
  /** Has it undo what it did. Throws `saga_ended`. */
  cancel(id: string, options: { readonly reason: string } & RemoteTellOptions): Promise<SagaAccepted>;
  /** For operators: has a parked one try again what failed. Throws `saga_ended`. */
  retry(id: string, options: { readonly reason: string } & RemoteTellOptions): Promise<SagaAccepted>;
  /** For operators: has a parked one take the undo that failed for done, because somebody has seen to it. Throws `saga_ended`. */
  resolve(id: string, options: { readonly reason: string } & RemoteTellOptions): Promise<SagaAccepted>;
}

/** Whose id is voided, and where. */
export interface RemoteVoidOptions {
  /** The service that the id was sent to; may be left out where the gateway has one only. */
  readonly service?: string;
  /** Who sent it, where callers are not authenticated. Default: the actor given to `connect`. */
  readonly actor?: string;
  /** Stops waiting and retrying, and rejects with the signal's reason. The id may have been voided all the same. */
  readonly signal?: CancelSignal;
}

type InputOfQuery<Query> = Query extends { readonly input: infer Input extends Schema } ? InputOf<Input> : never;
type ResultOfQuery<Query> = Query extends { readonly run: (...given: never[]) => infer Result } ? Awaited<Result> : never;

/** Conditions on declared indexes. */
export type Where<Document, Index extends string> = [Index] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [Field in Index]?: Condition<Extract<Document[Field & keyof Document], IndexValue>> };

// A command's input is found by its schema alone: `decide` names the state in both directions and would keep it from being inferred.
type InputsOf<Commands> = {
  readonly [Name in keyof Commands & string]: Commands[Name] extends { readonly input: infer Input extends Schema } ? Input : never;
};

/** What the client offers for a part. */
export type RemotePart<Part> = Part extends {
  readonly kind: "saga";
  readonly input: infer Input extends Schema;
  readonly run: (...given: never[]) => Promise<infer Result>;
}
  ? RemoteSaga<InputOf<Input>, Result>
  : RemoteOther<Part>;

type RemoteOther<Part> = Part extends {
  readonly kind: "entity";
  readonly initial: () => infer State;
  readonly commands: infer Commands;
}
  ? RemoteEntity<State, InputsOf<Commands>>
  : Part extends { readonly kind: "view"; readonly queries: infer Queries }
    ? RemoteSqlView<Queries>
    : Part extends {
          readonly kind: "view";
          readonly document: Schema<unknown, infer Document>;
          readonly indexes: ReadonlyArray<infer Index>;
        }
      ? RemoteView<Document, Index & string>
      : never;

type Joined<Union> = (Union extends unknown ? (member: Union) => void : never) extends (member: infer All) => void ? All : never;

type PartsOf<Service extends Served> = Joined<Service["parts"]>;

type RemoteParts<Parts> = {
  readonly [Key in keyof Parts as Parts[Key] extends { readonly kind: "entity" | "view" | "saga" } ? Key : never]: RemotePart<Parts[Key]>;
};

/**
 * The parts that can be called from outside: reactions work by themselves. Several services are joined as a union;
 * their intersection is `never`, because their names exclude each other.
 */
export type Client<Service extends Served> = ([Service] extends [never] ? Misjoined : RemoteParts<PartsOf<Service>>) & {
  /** What this client has written and read; hand `String(session.token)` over to go on elsewhere. */
  readonly session: Session;
  /**
   * Sees to it that no command that this caller sent under this id can take effect any more. Answers whether that was in time: true, none
   * did and none will; false, one did before. For the `void` of a saga's step that sends a command to another service. Throws
   * `outcome_unknown`, `invalid_input`, and `not_found` for a service that is not there.
   */
  voidId(id: string, options?: RemoteVoidOptions): Promise<boolean>;
};

/** Its only name is the advice that an editor then shows. */
interface Misjoined {
  readonly "join services by |, not by &: connect<typeof orders | typeof inventory>": never;
}
