/** The statements of a transaction, by what they do. Sets of rows come as one array a column. */
import {
  checkpointColumns,
  consumedColumns,
  definitionColumns,
  discardColumns,
  eventColumns,
  leaseColumns,
  memberColumns,
  parkedColumns,
} from "../rows.ts";
import { eventTexts } from "./event-texts.ts";

/** The table of events, or the view that has those in the archive as well. */
export type EventsTable = "events" | "all_events";

export const readStanding = "SELECT generation, archived FROM store";

export const readEpochs = "SELECT id, first FROM epochs ORDER BY number";

export const insertEpoch = "INSERT INTO epochs (number, id, first) SELECT max(number) + 1, $1, $2 FROM epochs";

export const nextGeneration = "UPDATE store SET generation = generation + 1";

export const saveOwner = "UPDATE store SET name = $1, signing_key = $2, generation = generation + 1";

/** What an insert into the tables of a store that was moved fails with; its message is where to. */
export const movedState = "CVMVD";

export const takeMoveBack: readonly string[] = [
  "DROP TRIGGER IF EXISTS moved ON events",
  "DROP TRIGGER IF EXISTS moved ON ids",
  "DROP FUNCTION IF EXISTS refuse_insert()",
];

/**
 * Triggers, because whatever has the store open must meet them, also an append that waits for the lock of the log inside its
 * function at this moment: its plan is looked at again when its insert locks the table.
 */
export function refuseInserts(to: string): readonly string[] {
  const message = `E'${to.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  return [
    ...takeMoveBack,
    `CREATE FUNCTION refuse_insert() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN RAISE EXCEPTION USING MESSAGE = ${message}, ERRCODE = '${movedState}'; END $body$`,
    "CREATE TRIGGER moved BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse_insert()",
    "CREATE TRIGGER moved BEFORE INSERT ON ids FOR EACH ROW EXECUTE FUNCTION refuse_insert()",
  ];
}

export const beginArchive = "UPDATE store SET generation = generation + 1, archived = true WHERE NOT archived";

export const readHead = "SELECT position, at FROM events ORDER BY position DESC LIMIT 1";

const newest = (column: string): string => `(SELECT ${column} FROM events ORDER BY position DESC LIMIT 1)`;

/** Of a replica, at the beginning of each transaction: what it stands for, and whether it is one still. */
export const readReplica: string = `SELECT generation, archived, pg_is_in_recovery(), coalesce(${newest("position")}, 0) FROM store`;

const cluster = "(SELECT system_identifier::text FROM pg_control_system())";

/** The same, and what it is a replica of. */
export const lookAtReplica: string = `SELECT generation, archived, pg_is_in_recovery(), coalesce(${newest("position")}, 0), ${newest("id")},
  schema_version, name, ${cluster} FROM store`;

/** Of the primary: what a replica whose head is at a position is compared with. */
export const compareReplica = (table: EventsTable): string =>
  `SELECT ${cluster}, coalesce(${newest("position")}, 0), (SELECT id FROM ${table} WHERE position = $1::bigint),
    (SELECT at FROM ${table} WHERE position = $1::bigint + 1)`;

export const readEvents = (table: EventsTable): string =>
  `SELECT ${eventTexts} FROM ${table} WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3`;

export const readEventsOfTypes = (table: EventsTable): string =>
  `SELECT ${eventTexts} FROM ${table} WHERE position > $1 AND position <= $2 AND type = ANY($4) ORDER BY position LIMIT $3`;

export const readStreamEvents = (table: EventsTable): string =>
  `SELECT ${eventTexts} FROM ${table} WHERE stream = $1 AND version > $2::bigint AND version <= $3::bigint ORDER BY version LIMIT $4`;

/** A stream's last event is never archived. */
export const readStreamHeads = `SELECT s.place, h.version, h.position
  FROM unnest($1::text[]) WITH ORDINALITY AS s (stream, place)
  CROSS JOIN LATERAL (SELECT version, position FROM events e WHERE e.stream = s.stream ORDER BY version DESC LIMIT 1) h`;

/** Goes from one stream's name to the next one's along the index, whatever lies between them. With an archive or without it, streams end in `events`. */
export const readStreams = (): string => `WITH RECURSIVE named (stream, count) AS (
    (SELECT stream, 1 FROM events WHERE stream > $1 AND stream < $2 ORDER BY stream LIMIT 1)
    UNION ALL
    SELECT (SELECT e.stream FROM events e WHERE e.stream > named.stream AND e.stream < $2 ORDER BY e.stream LIMIT 1), count + 1
    FROM named WHERE stream IS NOT NULL AND count < $3)
  SELECT last.* FROM named CROSS JOIN LATERAL
    (SELECT ${eventTexts} FROM events e WHERE e.stream = named.stream ORDER BY version DESC LIMIT 1) last
  ORDER BY named.stream`;

export const readEventTypes = "SELECT type FROM event_types WHERE number > $1 ORDER BY number";

/** Those that are new, in the order given. */
export const insertEventTypes = `INSERT INTO event_types (number, type)
  SELECT (SELECT coalesce(max(number), 0) FROM event_types) + row_number() OVER (ORDER BY place), type
  FROM unnest($1::text[]) WITH ORDINALITY AS given (type, place)
  WHERE NOT EXISTS (SELECT 1 FROM event_types known WHERE known.type = given.type)`;

export const insertEvents: string = `INSERT INTO events (${eventColumns})
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[])`;

export const insertPersonEvents = "INSERT INTO person_events (person, position) SELECT * FROM unnest($1::text[], $2::bigint[])";

/** Moves events of a stream but its last one to the archive. */
export const archiveEvents: string = `WITH moved AS (
    DELETE FROM events WHERE position IN (
      SELECT position FROM events WHERE stream = $1
        AND version < (SELECT version FROM events WHERE stream = $1 ORDER BY version DESC LIMIT 1)
      ORDER BY version LIMIT $2)
    RETURNING ${eventColumns})
  INSERT INTO archived_events (${eventColumns}) SELECT ${eventColumns} FROM moved`;

const idColumns = "voided, digest, stream, first_version, last_version, position, at";

export const readIds: string = `SELECT asked.place, ${idColumns}
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (scope, id, place)
  JOIN ids ON ids.scope = asked.scope AND ids.id = asked.id`;

export const readRemembered: string = `SELECT ${idColumns}, scope, id, number FROM ids WHERE voided = $1 AND number > $2 ORDER BY number LIMIT $3`;

export const insertIds: string = `INSERT INTO ids (scope, id, ${idColumns})
  SELECT scope, id, ${idColumns}
  FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[], $5::text[], $6::integer[], $7::integer[], $8::bigint[], $9::bigint[])
    WITH ORDINALITY AS given (scope, id, ${idColumns}, place)
  ORDER BY place`;

/** Rows lie in the order of their time, so those to forget are the first ones. */
export const forgetIds = `DELETE FROM ids WHERE at < $1 AND (scope, id) IN
  (SELECT scope, id FROM ids WHERE NOT voided ORDER BY number LIMIT $2)`;

const ofReader = "reader = $1 AND version = $2 AND source = $3";

export const readCheckpoints: string = `SELECT ${checkpointColumns} FROM checkpoints WHERE ${ofReader} ORDER BY slot`;

export const readAllCheckpoints: string = `SELECT ${checkpointColumns} FROM checkpoints ORDER BY slot, reader, version, source`;

export const saveCheckpoints: string = `INSERT INTO checkpoints (${checkpointColumns})
  SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::text[])
  ON CONFLICT (reader, version, source, slot) DO UPDATE SET
    epoch = excluded.epoch, position = excluded.position, reached = excluded.reached, seen = excluded.seen, "check" = excluded."check"`;

/**
 * One lookup a key, whatever the planner knows: by `key = ANY($3)`, and before the table's first ANALYZE, it went through all
 * documents of the view for every batch (10,000 of them, 128 asked for: 4.9 ms; this: 1.3 ms).
 */
export const readDocuments = `SELECT found.key, found.document FROM unnest($3::text[]) AS given (key)
  CROSS JOIN LATERAL (SELECT key, document FROM documents WHERE view = $1 AND version = $2 AND key = given.key LIMIT 1) AS found`;

export const saveDocuments = `INSERT INTO documents (view, version, key, document)
  SELECT $1, $2, key, document FROM unnest($3::text[], $4::text[]) AS given (key, document)
  ON CONFLICT (view, version, key) DO UPDATE SET document = excluded.document`;

const ofDocument = (table: string): string =>
  `${table}.view = given.view AND ${table}.version = given.version AND ${table}.key = given.key`;

export const deleteDocuments: string = `DELETE FROM documents USING unnest($1::text[], $2::integer[], $3::text[]) AS given (view, version, key)
  WHERE ${ofDocument("documents")}`;

/** Entries of documents but those of the fields that each keeps: one text, a line a field. */
export const deleteIndexEntries: string = `DELETE FROM index_entries
  USING unnest($1::text[], $2::integer[], $3::text[], $4::text[]) AS given (view, version, key, fields)
  WHERE ${ofDocument("index_entries")} AND index_entries.field <> ALL (string_to_array(given.fields, E'\\n'))`;

export const saveIndexEntries = `INSERT INTO index_entries (view, version, key, field, value)
  SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[])
  ON CONFLICT (view, version, key, field) DO UPDATE SET value = excluded.value WHERE index_entries.value <> excluded.value`;

export const readDefinitions: string = `SELECT ${definitionColumns} FROM definitions ORDER BY name, version`;

export const readStrongDefinitions: string = `SELECT ${definitionColumns} FROM definitions WHERE kind = 'strong-view' ORDER BY name, version`;

export const readDefinitionsOf: string = `SELECT ${definitionColumns} FROM definitions WHERE name = $1 ORDER BY version`;

export const saveDefinition: string = `INSERT INTO definitions (${definitionColumns}) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (name, version) DO UPDATE SET
    kind = excluded.kind, fingerprint = excluded.fingerprint, state = excluded.state, reason = excluded.reason`;

export const readConsumed: string = `SELECT ${consumedColumns} FROM consumed WHERE reader = $1 AND version = $2 ORDER BY range`;

export const addConsumed: string = `INSERT INTO consumed (reader, version, ${consumedColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (reader, version, range) DO UPDATE SET events = consumed.events + excluded.events,
    sum_a = (consumed.sum_a + excluded.sum_a) & 4294967295, sum_b = (consumed.sum_b + excluded.sum_b) & 4294967295,
    verified = consumed.verified OR excluded.verified`;

export const dropSomeDocuments = `WITH gone AS (SELECT key FROM documents WHERE view = $1 AND version = $2 LIMIT $3),
  entries AS (DELETE FROM index_entries WHERE view = $1 AND version = $2 AND key IN (SELECT key FROM gone))
  DELETE FROM documents WHERE view = $1 AND version = $2 AND key IN (SELECT key FROM gone)`;

/** What a view has in tables that all views share: of versions between two bounds. */
export const dropView: readonly string[] = [
  ["documents", "view"],
  ["index_entries", "view"],
  ["definitions", "name"],
  ["checkpoints", "reader"],
  ["consumed", "reader"],
  ["leases", "reader"],
  ["parked", "reader"],
].map(([table, column]) => `DELETE FROM ${table} WHERE ${column} = $1 AND version BETWEEN $2 AND $3`);

export const readSnapshot = "SELECT at, event_id, state FROM snapshots WHERE stream = $1 AND version = $2";

export const saveSnapshot = `INSERT INTO snapshots (stream, version, at, event_id, state) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (stream, version) DO UPDATE SET at = excluded.at, event_id = excluded.event_id, state = excluded.state`;

export const dropSnapshots = "DELETE FROM snapshots WHERE stream = ANY($1)";

export const readPersonEvents = (table: EventsTable): string =>
  `SELECT ${eventTexts} FROM ${table} WHERE position IN
    (SELECT position FROM person_events WHERE person = $1 AND position > $2 ORDER BY position LIMIT $3) ORDER BY position`;

export const readForgettings = "SELECT person, reason, actor FROM forgettings ORDER BY person";

export const beginForgetting = "INSERT INTO forgettings (person, reason, actor) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

export const endForgetting = "DELETE FROM forgettings WHERE person = $1";

export const readMembers: string = `SELECT ${memberColumns} FROM members ORDER BY id`;

export const saveMember: string = `INSERT INTO members (${memberColumns}) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (id) DO UPDATE SET place = excluded.place, process = excluded.process, beat = excluded.beat, readers = excluded.readers`;

export const removeMember = "DELETE FROM members WHERE id = $1";

export const readLeases: string = `SELECT ${leaseColumns} FROM leases WHERE ${ofReader} ORDER BY slot`;

export const readAllLeases: string = `SELECT ${leaseColumns} FROM leases ORDER BY slot, reader, version, source`;

export const readHeld = "SELECT count(*), coalesce(sum(fence), 0)::bigint FROM leases WHERE owner = $1";

export const saveLeases: string = `INSERT INTO leases (${leaseColumns})
  SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::text[], $6::bigint[])
  ON CONFLICT (reader, version, source, slot) DO UPDATE SET owner = excluded.owner, fence = excluded.fence`;

export const readParkedOfKey: string = `SELECT ${parkedColumns} FROM parked WHERE ${ofReader} AND order_key = $4 ORDER BY position LIMIT $5`;

const firstOfKey = (where: string): string => `SELECT * FROM (
    SELECT DISTINCT ON (reader, version, source, order_key) ${parkedColumns},
      count(*) OVER (PARTITION BY reader, version, source, order_key) AS events
    FROM parked ${where} ORDER BY reader, version, source, order_key, position) AS first
  ORDER BY position`;

export const readParkedKeys: string = firstOfKey(`WHERE ${ofReader}`);

export const readAllParkedKeys: string = firstOfKey("");

export const readRequestedKeys: string = firstOfKey(
  "WHERE (reader, version, source, order_key) IN (SELECT reader, version, source, order_key FROM parked WHERE request <> '')",
);

export const countParked: string = `SELECT count(DISTINCT order_key), count(*), min(position) FROM parked WHERE ${ofReader}`;

export const saveParked: string = `INSERT INTO parked (${parkedColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
  ON CONFLICT (reader, version, source, order_key, position) DO UPDATE SET slot = excluded.slot, event_id = excluded.event_id,
    type = excluded.type, state = excluded.state, error = excluded.error, attempts = excluded.attempts, since = excluded.since,
    request = excluded.request`;

export const removeParked: string = `DELETE FROM parked WHERE ${ofReader} AND order_key = $4 AND position = ANY($5)`;

export const readDiscards: string = `SELECT ${discardColumns} FROM discards WHERE reader = $1 AND source = $2 ORDER BY at, position`;

export const readAllDiscards: string = `SELECT ${discardColumns} FROM discards ORDER BY at, position`;

export const countDiscards = "SELECT count(*) FROM discards";

export const saveDiscard: string = `INSERT INTO discards (${discardColumns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  ON CONFLICT (reader, source, event_id) DO UPDATE SET position = excluded.position, type = excluded.type,
    order_key = excluded.order_key, error = excluded.error, reason = excluded.reason, "by" = excluded."by", at = excluded.at`;
