/** Snapshots and persons in PostgreSQL. */
import type { StoredEvent } from "../../log/event.ts";
import type { Forgetting, PersonWrites, Snapshot, SnapshotWrites } from "../../log/history-rows.ts";
import * as sql from "./queries.ts";
import type { Statements } from "./statements.ts";

export class PostgresSnapshots implements SnapshotWrites {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  async of(stream: string, version: number): Promise<Snapshot | undefined> {
    const [row] = await this.#statements.rows(sql.readSnapshot, [stream, version]);
    return row && { stream, version, at: row[0] as number, eventId: row[1] as string, state: row[2] as string };
  }

  async save({ stream, version, at, eventId, state }: Snapshot): Promise<void> {
    await this.#statements.change(sql.saveSnapshot, [stream, version, at, eventId, state]);
  }

  async drop(streams: readonly string[]): Promise<void> {
    await this.#statements.change(sql.dropSnapshots, [streams]);
  }
}

export class PostgresPersons implements PersonWrites {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  async events(person: string, { after, limit }: { after: number; limit: number }): Promise<StoredEvent[]> {
    return this.#statements.events(sql.readPersonEvents, [person, after, limit]);
  }

  async forgettings(): Promise<Forgetting[]> {
    return (await this.#statements.rows(sql.readForgettings)).map((row) => ({
      person: row[0] as string,
      reason: row[1] as string,
      actor: row[2] as string,
    }));
  }

  async beginForgetting({ person, reason, actor }: Forgetting): Promise<void> {
    await this.#statements.change(sql.beginForgetting, [person, reason, actor]);
  }

  async endForgetting(person: string): Promise<void> {
    await this.#statements.change(sql.endForgetting, [person]);
  }
}
