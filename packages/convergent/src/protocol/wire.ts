/**
 * The wire: JSON bodies, header names and the version of the protocol, as gateway and client share them.
 */
import type { FieldChange } from "../merge/three-way.ts";
import type { SagaStatus, SagaStep } from "./saga.ts";

/**
 * The version of the protocol, with its history:
 *
 * 1 — entities, events, views, sagas, definition, readers (2026).
 */
export const protocolVersion = 1;

/** Header names, in the lower case in which HTTP/2 and Node hand them over. */
export const headers = {
  idempotencyKey: "idempotency-key",
  token: "consistency-token",
  ifMatch: "if-match",
  ifNoneMatch: "if-none-match",
  prefer: "prefer",
  preferenceApplied: "preference-applied",
  retryAfter: "retry-after",
  retryAfterMs: "retry-after-ms",
  cacheControl: "cache-control",
  etag: "etag",
  trace: "traceparent",
  /** Who asks, as the caller says: trusted only while the gateway is on loopback. */
  actor: "convergent-actor",
} as const;

/** Measured percentiles in milliseconds, as answers carry them. */
export interface VisibilityMs {
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly p99: number;
}

/** An event as commands and conflicts carry it. */
export interface AppendedBody {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly position: number;
  readonly at: string;
  readonly data: unknown;
}

/** `POST /entities/{entity}/{id}/{command}` */
export interface CommandBody {
  /** Right after this command; absent when the caller may not read the entity. */
  readonly state?: unknown;
  readonly version: number;
  readonly events: readonly AppendedBody[];
  readonly token: string;
  readonly pending?: readonly string[];
  readonly repeated?: boolean;
  /** The input was merged: the fields that others had changed of it, and what became of them. */
  readonly merged?: readonly FieldChange[];
  readonly visibilityMs?: VisibilityMs;
}

/** What the problem `version_conflict` says beside the standard members. */
export interface ConflictBody {
  readonly version: number;
  /** As it is now; absent, like the rest, when the caller may not read the entity. */
  readonly state?: unknown;
  /** What the request expected; absent when that was a version of another history. */
  readonly expected?: number | "none" | "some" | undefined;
  /** The state at the expected version; absent when there never was such a version. */
  readonly base?: unknown;
  /** The events since then, oldest first, at most 100. */
  readonly changed: readonly EventBody[];
  readonly more?: true;
  /** What others changed since then, by field: of the command's input when that is `mergeable`, else of the state. */
  readonly fields: readonly FieldChange[];
  readonly mergeable: boolean;
}

/** `GET /entities/{entity}/{id}` */
export interface EntityBody {
  readonly state: unknown;
  readonly version: number;
  readonly token: string;
  readonly pending?: readonly string[];
  /** Only when the request's token names something of other services that has not arrived here. */
  readonly fresh?: false;
  readonly unchecked?: readonly string[];
}

/** An event of `GET /entities/{entity}/{id}/events` */
export interface EventBody {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly position: number;
  readonly at: string;
  readonly data: unknown;
  readonly metadata: unknown;
}

/** `GET /entities/{entity}/{id}/events` */
export interface EventsBody {
  readonly events: readonly EventBody[];
  /** Ask again with `after` = this version; absent when there are no more. */
  readonly next?: number;
}

/** `GET /views/{view}/{key}` and `GET /views/{view}/queries/{query}`; for `GET /views/{view}` the value is a list of `{ key, value }`. */
export interface ViewBody<Value = unknown> {
  readonly value: Value;
  readonly asOf: number;
  readonly behind: { readonly positions: number; readonly ms: number };
  readonly fresh: boolean;
  readonly cursor?: string;
  /** All that meets the conditions, with `count=true`. */
  readonly count?: number;
  readonly unchecked?: readonly string[];
  readonly unmet?: readonly string[];
  /** Of one document: the event of its order key that could not be applied. Of a list: how many order keys are set aside. */
  readonly parked?: ParkedBody | number;
  readonly visibilityMs?: VisibilityMs;
}

/** An event that could not be applied and holds up its order key. */
export interface ParkedBody {
  readonly position: number;
  readonly state: "retrying" | "parked";
  readonly error: string;
  readonly attempts: number;
}

/** The answer to whatever a saga is asked to do: `POST /sagas/{saga}/{id}` and below it. */
export interface SagaAcceptedBody {
  readonly id: string;
  readonly token: string;
  /** The same was asked under the same id before; nothing was done now. */
  readonly repeated: boolean;
}

/** `GET /sagas/{saga}/{id}` */
export interface SagaBody {
  readonly id: string;
  readonly status: SagaStatus;
  readonly input: unknown;
  readonly steps: readonly SagaStepBody[];
  /** Of one that has completed. */
  readonly result?: unknown;
  /** Why it is undone, or parked. */
  readonly error?: string;
  /** The reason, of one that was cancelled. */
  readonly cancelled?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  /** Events in its stream. */
  readonly version: number;
  readonly token: string;
}

/** A step, timer or signal of a saga. */
export interface SagaStepBody extends Omit<SagaStep, "begunAt" | "endedAt" | "dueAt"> {
  readonly begunAt: string;
  readonly endedAt?: string;
  /** When the next attempt, or the end of a wait, is due. */
  readonly dueAt?: string;
}

/** `POST /services/{service}/ids/{id}/void` */
export interface VoidBody {
  /** True: nothing was appended under the id, and nothing will be. False: it took effect before. */
  readonly void: boolean;
}

/** A part in `GET /definition`. */
export interface PartBody {
  /** The name in the program: `orderSummary`. */
  readonly key: string;
  /** The name on the wire: `order-summary`. */
  readonly name: string;
  readonly kind: string;
  readonly service: string;
  readonly commands?: Readonly<Record<string, unknown>>;
  readonly events?: Readonly<Record<string, unknown>>;
  readonly document?: unknown;
  readonly indexes?: readonly string[];
  /** Of a view that keeps tables: the input of each query. */
  readonly queries?: Readonly<Record<string, unknown>>;
  /** Of a saga: what it is started with. */
  readonly input?: unknown;
  readonly version?: number;
}

/** `GET /definition` */
export interface DefinitionBody {
  readonly protocol: number;
  readonly services: readonly string[];
  readonly parts: readonly PartBody[];
}

/** A reader in `GET /readers` */
export interface ReaderBody {
  readonly service: string;
  readonly name: string;
  readonly version: number;
  /** The store it follows. */
  readonly source: string;
  readonly state: string;
  readonly position: number;
  readonly head: number;
  /** Positions behind head, and the age in milliseconds of the oldest event it has not applied. */
  readonly lag: { readonly positions: number; readonly ms: number };
  readonly visibilityMs?: VisibilityMs;
  /** Why it is stuck. */
  readonly failure?: { readonly message: string; readonly attempts: number; readonly position: number };
  /** Who owns its slots: this process, others that live, or nobody. */
  readonly slots: { readonly total: number; readonly owned: number; readonly elsewhere: number; readonly unowned: number };
  /** What is set aside, and the first order keys of it. */
  readonly parked: { readonly keys: number; readonly events: number; readonly first: readonly ParkedKeyBody[] };
}

/** An order key that a reader has set aside: its first event, and how many wait with it. */
export interface ParkedKeyBody extends Omit<ParkedBody, "state"> {
  readonly key: string;
  readonly state: string;
  readonly type: string;
  readonly events: number;
  /** RFC 3339. */
  readonly since: string;
}

/** A stored version of a view in `GET /readers` */
export interface ViewVersionBody {
  readonly service: string;
  readonly view: string;
  readonly version: number;
  readonly consistency: "eventual" | "strong";
  /** `active` answers reads; `building` is made beside it. */
  readonly state: string;
  /** Why its build failed. */
  readonly reason?: string;
  readonly position: number;
  readonly head: number;
  /** Order keys that are set aside. */
  readonly parked: number;
  /** No part of the service has this name. */
  readonly orphaned: boolean;
  /** Of a build: positions a second, and milliseconds left at that pace. */
  readonly perSecond?: number;
  readonly leftMs?: number;
}

/** A read replica of a service's store in `GET /readers` */
export interface ReplicaBody {
  readonly service: string;
  /** Its address, without a password. */
  readonly place: string;
  /** Only one that is `ready` is read from. */
  readonly state: string;
  /** Positions that it lacked, and the age in milliseconds of the oldest of them, when it was last looked at. */
  readonly lag: { readonly positions: number; readonly ms: number };
  /** Snapshots of it that were read from. */
  readonly reads: number;
  /** Why it is not used, or what last failed there. */
  readonly error?: string;
}

/** `GET /readers` */
export interface ReadersBody {
  readonly readers: readonly ReaderBody[];
  readonly views: readonly ViewVersionBody[];
  /** Of stores that have some. */
  readonly replicas?: readonly ReplicaBody[];
}

/** `application/problem+json` (RFC 9457). */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly retry: "never" | "later";
  readonly [extension: string]: unknown;
}
