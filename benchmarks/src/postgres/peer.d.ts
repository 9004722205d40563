// As much of the peer's surface as the bench calls, so that the bench can be checked where the peer is not installed.
declare module "@event-driven-io/emmett-postgresql" {
  import type { SQL } from "@event-driven-io/dumbo";

  export interface RecordedEvent {
    readonly type: string;
    readonly data: unknown;
    readonly metadata: { readonly streamName: string; readonly streamPosition: bigint; readonly globalPosition: bigint };
  }

  export interface Projection {
    readonly name?: string;
  }

  export interface PostgresConsumer {
    reactor(options: {
      processorId: string;
      startFrom: "BEGINNING" | "END" | "CURRENT";
      eachMessage(event: RecordedEvent): Promise<void> | void;
    }): unknown;
    projector(options: { projection: Projection }): unknown;
    /** Resolves when the consumer has stopped. */
    start(): Promise<void>;
    stop(): Promise<void>;
  }

  export interface PostgresEventStore {
    appendToStream(
      stream: string,
      events: ReadonlyArray<{ type: string; data: unknown }>,
      options?: { expectedStreamVersion: "STREAM_DOES_NOT_EXIST" },
    ): Promise<{ createdNewStream: boolean }>;
    aggregateStream<State>(
      stream: string,
      options: { initialState(): State; evolve(state: State, event: RecordedEvent): State },
    ): Promise<{ state: State }>;
    consumer(options: { pulling?: { batchSize?: number; pullingFrequencyInMs?: number } }): PostgresConsumer;
    readonly schema: { migrate(): Promise<void> };
    close(): Promise<void>;
  }

  export function getPostgreSQLEventStore(url: string): PostgresEventStore;

  export function postgreSQLRawSQLProjection(options: {
    name: string;
    canHandle: readonly string[];
    evolve(event: RecordedEvent): SQL;
    init?(): SQL;
  }): Projection;

  export function pongoMultiStreamProjection<Document>(options: {
    collectionName: string;
    canHandle: readonly string[];
    getDocumentId(event: RecordedEvent): string;
    evolve(document: Document, event: RecordedEvent): Document;
    initialState(): Document;
  }): Projection;
}

declare module "@event-driven-io/dumbo" {
  /** A statement with its values in it. */
  export type SQL = string & { readonly __brand: "sql" };

  /** `%L` stands for a literal, in order. */
  export function sql(text: string, ...values: readonly unknown[]): SQL;
  export function rawSql(text: string): SQL;
}
