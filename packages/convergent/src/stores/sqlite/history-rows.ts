/** Snapshots and persons in SQLite. */
import type { StoredEvent } from "../../log/event.ts";
import type { Forgetting, PersonWrites, Snapshot, SnapshotWrites } from "../../log/history-rows.ts";
import { eventOf } from "../rows.ts";
import type { Archive } from "./archive.ts";
import type { Database } from "./database.ts";
import * as sql from "./history-queries.ts";

/** Runs statements in the open transaction; marks it as one that changes something when told so. */
type Run = <T>(statements: (database: Database) => T, changes?: "changes") => T;

export class SqliteSnapshots implements SnapshotWrites {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async of(stream: string, version: number): Promise<Snapshot | undefined> {
    const row = this.#run((database) => database.get(sql.readSnapshot, stream, version));
    return row && { stream, version, at: row[0] as number, eventId: row[1] as string, state: row[2] as string };
  }

  async save({ stream, version, at, eventId, state }: Snapshot): Promise<void> {
    this.#run((database) => database.run(sql.saveSnapshot, stream, version, at, eventId, state), "changes");
  }

  async drop(streams: readonly string[]): Promise<void> {
    this.#run((database) => {
      for (const stream of streams) database.run(sql.dropSnapshots, stream);
    }, "changes");
  }
}

export class SqlitePersons implements PersonWrites {
  readonly #run: Run;
  readonly #archive: Archive | undefined;

  constructor(run: Run, archive: Archive | undefined) {
    this.#run = run;
    this.#archive = archive;
  }

  async events(person: string, { after, limit }: { after: number; limit: number }): Promise<StoredEvent[]> {
    const rows = this.#run((database) => database.all(sql.readPersonEvents, person, after, limit));
    const archive = this.#archive;
    if (!archive) return rows.map(eventOf);
    const here = new Map(rows.map((row) => [row[0], row]));
    const positions = this.#run((database) => database.all(sql.readPersonPositions, person, after, limit));
    return positions.flatMap(([position]) => {
      const row = here.get(position ?? null) ?? archive.at(position as number);
      return row ? [eventOf(row)] : [];
    });
  }

  async forgettings(): Promise<Forgetting[]> {
    return this.#run((database) => database.all(sql.readForgettings)).map((row) => ({
      person: row[0] as string,
      reason: row[1] as string,
      actor: row[2] as string,
    }));
  }

  async beginForgetting({ person, reason, actor }: Forgetting): Promise<void> {
    this.#run((database) => database.run(sql.beginForgetting, person, reason, actor), "changes");
  }

  async endForgetting(person: string): Promise<void> {
    this.#run((database) => database.run(sql.endForgetting, person), "changes");
  }
}
