// As much of the peer's surface as the bench calls, so that the bench can be checked where the peer is not installed.
// Written from what version 0.42.4 does; a wrong line here shows when the bench runs.
declare module "@event-driven-io/emmett-sqlite" {
  export interface SQLiteConnection {
    close(): void;
    command(sql: string, parameters?: readonly unknown[]): Promise<unknown>;
    querySingle<T>(sql: string, parameters?: readonly unknown[]): Promise<T | null>;
  }

  export interface RecordedEvent {
    readonly type: string;
    readonly data: unknown;
    readonly metadata: { readonly streamName: string; readonly streamPosition: bigint; readonly globalPosition: bigint };
  }

  export interface Consumer {
    processor(options: {
      processorId: string;
      startFrom: "BEGINNING" | "END" | "CURRENT";
      eachMessage(event: RecordedEvent, context: { connection: SQLiteConnection }): Promise<void> | void;
    }): unknown;
    /** Resolves when the consumer has stopped. */
    start(): Promise<void>;
    stop(): Promise<void>;
  }

  export interface EventStore {
    appendToStream(stream: string, events: ReadonlyArray<{ type: string; data: unknown }>): Promise<unknown>;
    aggregateStream<State>(
      stream: string,
      options: { initialState(): State; evolve(state: State, event: RecordedEvent): State },
    ): Promise<{ state: State; currentStreamVersion: bigint }>;
    consumer(options: { pulling?: { batchSize?: number; pullingFrequencyInMs?: number } }): Consumer;
    readonly schema: { migrate(): Promise<void> };
  }

  export function sqliteConnection(options: { fileName: string }): SQLiteConnection;
  export function getSQLiteEventStore(options: {
    fileName: string;
    schema: { autoMigration: "None" | "CreateOrUpdate" };
    connectionOptions: { singleton: true; connection: SQLiteConnection };
  }): EventStore;
}
