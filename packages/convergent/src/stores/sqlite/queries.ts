/**
 * The statements of a transaction, by what they do. Parameters stand in the order of the text.
 *
 * A limit is written `LIMIT ? + 0`. SQLite looks at the value of a bare `LIMIT ?` while it plans, and therefore plans the
 * statement anew each time a value is bound: 12 µs for the parked events of a key, which are none, instead of 0.6, and
 * 8.5 µs for one event by its position instead of 1.5 (SQLite 3.53.4).
 */
import { checkpointColumns, consumedColumns, definitionColumns, eventColumns } from "../rows.ts";

export const readGeneration = "SELECT generation, archive FROM convergent_store";

export const nameArchive = "UPDATE convergent_store SET archive = ?";

export const hasEvent = "SELECT 1 FROM convergent_events WHERE position = ?";

export const dropEvent = "DELETE FROM convergent_events WHERE position = ?";

export const saveOwner = "UPDATE convergent_store SET name = ?, signing_key = ?";

export const takeMoveBack = `DROP TRIGGER IF EXISTS convergent_moved_events; DROP TRIGGER IF EXISTS convergent_moved_ids`;

/** Triggers, because processes that have the file open must meet them too, at their next insert. */
export function refuseInserts(to: string): string {
  const refusing = (table: string): string =>
    `CREATE TRIGGER convergent_moved_${table} BEFORE INSERT ON convergent_${table} BEGIN SELECT RAISE(ABORT, '${to.replaceAll("'", "''")}'); END`;
  return `${takeMoveBack}; ${refusing("events")}; ${refusing("ids")}`;
}

export const nextGeneration = "UPDATE convergent_store SET generation = generation + 1";

export const readEpochs = "SELECT id, first FROM convergent_epochs ORDER BY number";

export const insertEpoch: string = `INSERT INTO convergent_epochs (number, id, first)
  SELECT max(number) + 1, ?, ? FROM convergent_epochs`;

export const readHead = "SELECT position, at FROM convergent_events ORDER BY position DESC LIMIT 1";

export const readEvents: string = `SELECT ${eventColumns} FROM convergent_events WHERE position > ? AND position <= ? ORDER BY position LIMIT ? + 0`;

/** Of `count` types. */
export function readEventsOfTypes(count: number): string {
  return `SELECT ${eventColumns} FROM convergent_events WHERE position > ? AND position <= ? AND type IN (${placeholders(count)}) ORDER BY position LIMIT ? + 0`;
}

export const readStreamEvents: string = `SELECT ${eventColumns} FROM convergent_events
  WHERE stream = ? AND version > ? AND version <= ? ORDER BY version LIMIT ? + 0`;

/** Answered by the index alone: it ends in the row's number, which is the position. */
export const readStreamHead = "SELECT version, position FROM convergent_events WHERE stream = ? ORDER BY version DESC LIMIT 1";

/** The last events of an entity's streams, by the streams' names. */
export const readStreams: string = `SELECT ${eventColumns} FROM convergent_events WHERE position IN (
    SELECT (SELECT position FROM convergent_events last WHERE last.stream = e.stream ORDER BY version DESC LIMIT 1)
    FROM convergent_events e WHERE stream > ? AND stream > ? AND stream < ? GROUP BY stream ORDER BY stream LIMIT ? + 0)
  ORDER BY stream`;

/** The events of a stream but its last one. */
export const readEnded: string = `SELECT ${eventColumns} FROM convergent_events WHERE stream = ?1 AND version > ?2
  AND version < (SELECT max(version) FROM convergent_events WHERE stream = ?1) ORDER BY version LIMIT ?3 + 0`;

/** Stream and last version are those of the event at its position; a voided id, whose number is negative, has none. */
export const readId: string = `SELECT i.number, i.digest, i.first_version, i.position, i.at, e.stream, e.version
  FROM convergent_ids i LEFT JOIN convergent_events e ON e.position = i.position AND i.number >= 0
  WHERE i.scope = ? AND i.id = ?`;

const rememberedColumns = "i.scope, i.id, i.number, i.digest, i.first_version, i.position, i.at, e.stream, e.version";

/** Numbers of done ids follow their positions. */
export const readDoneIds: string = `SELECT ${rememberedColumns} FROM convergent_ids i
  LEFT JOIN convergent_events e ON e.position = i.position WHERE i.number > ? ORDER BY i.number LIMIT ? + 0`;

export const readVoidedIds: string = `SELECT ${rememberedColumns} FROM convergent_ids i
  LEFT JOIN convergent_events e ON false WHERE i.number < ? ORDER BY i.number DESC LIMIT ? + 0`;

export const readCheckpoints: string = `SELECT ${checkpointColumns} FROM convergent_checkpoints WHERE reader = ? AND version = ? AND source = ? ORDER BY slot`;

export const readAllCheckpoints: string = `SELECT ${checkpointColumns} FROM convergent_checkpoints ORDER BY slot, reader, version, source`;

export const readDocument = "SELECT document FROM convergent_documents WHERE view = ? AND version = ? AND key = ?";

export const readDefinitions: string = `SELECT ${definitionColumns} FROM convergent_definitions ORDER BY name, version`;

/** Asked in every append, so by an index of its own: of a thousand views few are strong. */
export const readStrongDefinitions: string = `SELECT ${definitionColumns} FROM convergent_definitions WHERE kind = 'strong-view' ORDER BY name, version`;

export const readDefinitionsOf: string = `SELECT ${definitionColumns} FROM convergent_definitions WHERE name = ? ORDER BY version`;

// One statement a row: at two to three microseconds each it is as fast as inserts of 8 rows a statement and faster than
// of 16 and more, because the time goes into the tables and not into the calls (Node 24.21, batches of 64).
export const insertEvent: string = `INSERT INTO convergent_events (${eventColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** Of two histories with an event at one position, the store's own is kept. */
export const archiveEvent: string = insertEvent.replace("INSERT", "INSERT OR REPLACE");

const idColumns = "scope, id, digest, first_version, position, at";

export const insertId: string = `INSERT INTO convergent_ids (${idColumns}) VALUES (?, ?, ?, ?, ?, ?)`;

export const insertVoidedId: string = `INSERT INTO convergent_ids (number, ${idColumns})
  VALUES ((SELECT min(0, ifnull(min(number), 0)) - 1 FROM convergent_ids), ?, ?, ?, ?, ?, ?)`;

export const readOldestId = "SELECT at FROM convergent_ids WHERE number >= 0 ORDER BY number LIMIT 1";

/** Rows lie in the order of their time, so those to forget are the first ones. */
export const forgetOldestIds: string = `DELETE FROM convergent_ids
  WHERE number IN (SELECT number FROM convergent_ids WHERE number >= 0 ORDER BY number LIMIT ? + 0) AND at < ?`;

export const saveCheckpoint: string = `INSERT INTO convergent_checkpoints (${checkpointColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (reader, version, source, slot) DO UPDATE SET
    epoch = excluded.epoch, position = excluded.position, reached = excluded.reached, seen = excluded.seen, "check" = excluded."check"`;

/** Rows that are there, of slots between two, brought to one position. */
export const moveCheckpoints: string = `UPDATE convergent_checkpoints SET epoch = ?, position = ?, reached = ?, seen = ?, "check" = ?
  WHERE reader = ? AND version = ? AND source = ? AND slot BETWEEN ? AND ?`;

export const saveDocument: string = `INSERT INTO convergent_documents (view, version, key, document) VALUES (?, ?, ?, ?)
  ON CONFLICT (view, version, key) DO UPDATE SET document = excluded.document`;

export const deleteDocument = "DELETE FROM convergent_documents WHERE view = ? AND version = ? AND key = ?";

export const readIndexEntries = "SELECT field, value FROM convergent_index_entries WHERE view = ? AND version = ? AND key = ?";

export const saveIndexEntry: string = `INSERT INTO convergent_index_entries (view, version, key, field, value) VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (view, version, key, field) DO UPDATE SET value = excluded.value`;

export const deleteIndexEntry = "DELETE FROM convergent_index_entries WHERE view = ? AND version = ? AND key = ? AND field = ?";

export const saveDefinition: string = `INSERT INTO convergent_definitions (kind, name, version, fingerprint, state, reason) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (name, version) DO UPDATE SET
    kind = excluded.kind, fingerprint = excluded.fingerprint, state = excluded.state, reason = excluded.reason`;

export const readConsumed: string = `SELECT ${consumedColumns} FROM convergent_consumed WHERE reader = ? AND version = ? ORDER BY range`;

export const addConsumed: string = `INSERT INTO convergent_consumed (reader, version, range, events, sum_a, sum_b, verified) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (reader, version, range) DO UPDATE SET events = events + excluded.events,
    sum_a = (sum_a + excluded.sum_a) & 4294967295, sum_b = (sum_b + excluded.sum_b) & 4294967295, verified = max(verified, excluded.verified)`;

export const readSomeKeys = "SELECT key FROM convergent_documents WHERE view = ? AND version = ? LIMIT ? + 0";

export const deleteIndexEntries = "DELETE FROM convergent_index_entries WHERE view = ? AND version = ? AND key = ?";

// A view is dropped in steps, so that a large one does not hold up the event loop. Versions between two bounds: one or all.
export const dropSomeDocuments: string = `DELETE FROM convergent_documents
  WHERE number IN (SELECT number FROM convergent_documents WHERE view = ? AND version BETWEEN ? AND ? LIMIT ? + 0)`;

export const dropSomeIndexEntries: string = `DELETE FROM convergent_index_entries
  WHERE (view, version, key, field) IN
    (SELECT view, version, key, field FROM convergent_index_entries WHERE view = ? AND version BETWEEN ? AND ? LIMIT ? + 0)`;

export const dropDefinition = "DELETE FROM convergent_definitions WHERE name = ? AND version BETWEEN ? AND ?";

export const dropCheckpoints = "DELETE FROM convergent_checkpoints WHERE reader = ? AND version BETWEEN ? AND ?";

export const dropConsumed = "DELETE FROM convergent_consumed WHERE reader = ? AND version BETWEEN ? AND ?";

export function placeholders(count: number): string {
  return Array.from({ length: count }, () => "?").join(", ");
}
