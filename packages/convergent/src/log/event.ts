/**
 * Events as the log keeps them. A stored event holds the exact bytes that were written (`data` and `metadata` are
 * JSON text) and a digest of them, so that a copy in any store compares equal. An event never changes.
 */
import type { Position } from "../position/position.ts";
import type { Marks } from "./marks.ts";

/** Who and what caused an event. JSON values only; the named keys are the ones this project sets and shows. */
export interface Metadata {
  /** Id of the event or command that caused this one. */
  readonly cause?: string;
  /** Id shared by everything that followed from one request. */
  readonly correlation?: string;
  /** Who asked for it. */
  readonly actor?: string;
  /** W3C `traceparent`. */
  readonly trace?: string;
  readonly [key: string]: unknown;
}

/** An event that is to be appended. */
export interface NewEvent {
  /** `entity.event`, for example `order.placed`. */
  readonly type: string;
  /** Any JSON value; `undefined` is written as `null`. */
  readonly data: unknown;
  /** What its codec wrote beside the data. */
  readonly marks?: Marks;
}

/** An event as it lies in a store. */
export interface StoredEvent {
  readonly position: Position;
  readonly id: string;
  /** `entity/entityId`: the first slash divides. */
  readonly stream: string;
  /** Place in its stream: 1..k without gaps (L3). */
  readonly version: number;
  readonly type: string;
  /** Milliseconds since 1970, given under the lock of the append; never decreases along the log (L1). */
  readonly at: number;
  /** Exact JSON text. */
  readonly data: string;
  /** Exact JSON text. */
  readonly metadata: string;
  /** `eventDigest` of id, stream, type, data and metadata. */
  readonly digest: string;
}

/** An event as readers of it see it: the envelope that views and reactions are given. */
export interface Envelope<Type extends string = string, Data = unknown> {
  /** Id of the event. */
  readonly id: string;
  readonly entity: string;
  readonly entityId: string;
  /** `entity.event`. */
  readonly type: Type;
  readonly version: number;
  readonly position: Position;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly data: Data;
  readonly metadata: Metadata;
}

/** The stream of an entity. */
export function streamOf(entity: string, entityId: string): string {
  return `${entity}/${entityId}`;
}

/** Parses the stored text as it is, whatever version it was written in; code that knows the event's definition uses a codec. */
export function toEnvelope(event: StoredEvent): Envelope {
  return envelopeAround(event, JSON.parse(event.data), event.metadata === "{}" ? {} : (JSON.parse(event.metadata) as Metadata));
}

/** The envelope of an event around its data. The result is one reader's own: it may keep or change it. */
export function envelopeAround(event: StoredEvent, data: unknown, metadata: Metadata): Envelope {
  const slash = event.stream.indexOf("/");
  return {
    id: event.id,
    entity: event.stream.slice(0, slash),
    entityId: event.stream.slice(slash + 1),
    type: event.type,
    version: event.version,
    position: event.position,
    at: event.at,
    data,
    metadata,
  };
}
