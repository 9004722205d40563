// As much of the peer's surface as the bench calls, so that the bench can be checked where the peer is not installed.
declare module "@event-driven-io/emmett-postgresql" {
  export interface PostgresEventStore {
    appendToStream(
      stream: string,
      events: ReadonlyArray<{ type: string; data: unknown }>,
      options?: { expectedStreamVersion: "STREAM_DOES_NOT_EXIST" },
    ): Promise<{ createdNewStream: boolean }>;
    readonly schema: { migrate(): Promise<void> };
    close(): Promise<void>;
  }

  export function getPostgreSQLEventStore(url: string): PostgresEventStore;
}
