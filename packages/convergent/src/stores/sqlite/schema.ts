/**
 * The tables of a store, and how an older file becomes a present one. The names carry a prefix, because a view may
 * keep tables of its own in the same file.
 */

/** Version of the tables below; a file with a higher one is refused (`store_newer`). */
export const schemaVersion = 2;

/**
 * - Texts compare by their bytes (BINARY), which for UTF-8 is by code point: the order of every index value.
 * - Stream heads (L3) are the last entries of the index by stream, which holds all that the question needs and cannot
 *   disagree with the events. A table of heads beside it costs 15 % of the appends with streams in order, 25 to 60 % with
 *   random names, where each append touches one page more.
 * - `convergent_ids` counts its rows up from 0, so that the oldest are found and dropped at one end of the table. Voided
 *   ids, which are kept for ever, count down from -1, away from that end; the sign is what tells them apart. Of an append
 *   it keeps what the event at its position does not say.
 * - Index entries are kept twice: by document, to change and to test them, and by value, to run along them.
 */
const version1 = `
CREATE TABLE convergent_store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  schema_version INTEGER NOT NULL,
  name TEXT NOT NULL,
  signing_key TEXT NOT NULL
) STRICT;

CREATE TABLE convergent_epochs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  first INTEGER NOT NULL
) STRICT;

CREATE TABLE convergent_events (
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL,
  metadata TEXT NOT NULL,
  digest TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX convergent_events_by_stream ON convergent_events (stream, version);

CREATE TABLE convergent_ids (
  number INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  id TEXT NOT NULL,
  digest TEXT NOT NULL,
  first_version INTEGER NOT NULL,
  position INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX convergent_ids_by_id ON convergent_ids (scope, id);

CREATE TABLE convergent_checkpoints (
  reader TEXT NOT NULL,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,
  slot INTEGER NOT NULL,
  epoch TEXT NOT NULL,
  position INTEGER NOT NULL,
  reached INTEGER NOT NULL,
  seen TEXT NOT NULL,
  PRIMARY KEY (reader, version, source, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE convergent_documents (
  number INTEGER PRIMARY KEY,
  view TEXT NOT NULL,
  version INTEGER NOT NULL,
  key TEXT NOT NULL,
  document TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX convergent_documents_by_key ON convergent_documents (view, version, key);

CREATE TABLE convergent_index_entries (
  view TEXT NOT NULL,
  version INTEGER NOT NULL,
  key TEXT NOT NULL,
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (view, version, key, field)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX convergent_index_entries_by_value ON convergent_index_entries (view, version, field, value, key);

CREATE TABLE convergent_definitions (
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
`;

/**
 * - Of an older file, the newest version of each view is the one that answered reads.
 * - Consumed ranges are what a build has read of the log, to be compared with the log before it is used.
 */
const rebuilds = `
ALTER TABLE convergent_definitions ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE convergent_definitions ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE INDEX convergent_definitions_strong ON convergent_definitions (name, version) WHERE kind = 'strong-view';
UPDATE convergent_definitions SET state = 'retired'
  WHERE EXISTS (SELECT 1 FROM convergent_definitions newer WHERE newer.name = convergent_definitions.name AND newer.version > convergent_definitions.version);

CREATE TABLE convergent_consumed (
  reader TEXT NOT NULL,
  version INTEGER NOT NULL,
  range INTEGER NOT NULL,
  events INTEGER NOT NULL,
  sum_a INTEGER NOT NULL,
  sum_b INTEGER NOT NULL,
  verified INTEGER NOT NULL,
  PRIMARY KEY (reader, version, range)
) STRICT, WITHOUT ROWID;
`;

/** `generation` counts the changes of what processes remember of the store: its epochs and the id of its archive. */
const generation = `
ALTER TABLE convergent_store ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE convergent_store ADD COLUMN archive TEXT;
`;

/**
 * - Types are counted up from 1 in the order of their first event.
 * - Of a person there are pseudonyms only; the key of each pseudonym lies outside this file.
 */
const history = `
CREATE TABLE convergent_event_types (
  number INTEGER PRIMARY KEY,
  type TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO convergent_event_types (type) SELECT type FROM convergent_events GROUP BY type ORDER BY min(position);

CREATE TABLE convergent_snapshots (
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (stream, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE convergent_person_events (
  person TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (person, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE convergent_forgettings (
  person TEXT PRIMARY KEY,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

/** Which event lay at a checkpoint, so that another history is noticed (L5). */
const checkpointChecks = `
ALTER TABLE convergent_checkpoints ADD COLUMN "check" TEXT NOT NULL DEFAULT '';
`;

/** Processes, and the slots of readers that they own; the index answers what one of them holds without the table. */
const ownership = `
CREATE TABLE convergent_members (
  id TEXT PRIMARY KEY,
  place TEXT NOT NULL,
  process TEXT NOT NULL,
  beat INTEGER NOT NULL,
  readers TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE convergent_leases (
  reader TEXT NOT NULL,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,
  slot INTEGER NOT NULL,
  owner TEXT NOT NULL,
  fence INTEGER NOT NULL,
  PRIMARY KEY (reader, version, source, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX convergent_leases_by_owner ON convergent_leases (owner, fence);
`;

/** Events set aside, and those that shall never be applied. `request` is the JSON of what an operator asks, or empty. */
const parking = `
CREATE TABLE convergent_parked (
  reader TEXT NOT NULL,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,
  position INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  order_key TEXT NOT NULL,
  event_id TEXT NOT NULL,
  type TEXT NOT NULL,
  state TEXT NOT NULL,
  error TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  since INTEGER NOT NULL,
  request TEXT NOT NULL,
  PRIMARY KEY (reader, version, source, order_key, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX convergent_parked_requests ON convergent_parked (request) WHERE request <> '';

CREATE TABLE convergent_discards (
  reader TEXT NOT NULL,
  source TEXT NOT NULL,
  event_id TEXT NOT NULL,
  position INTEGER NOT NULL,
  type TEXT NOT NULL,
  order_key TEXT NOT NULL,
  error TEXT NOT NULL,
  reason TEXT NOT NULL,
  "by" TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (reader, source, event_id)
) STRICT, WITHOUT ROWID;
`;

/** What version 2 adds, one subject a text. */
const version2: readonly string[] = [rebuilds, generation, history, checkpointChecks, ownership, parking];

/** Steps from each older version to the next, in order, run in the transaction that opens the store. */
export const migrations: ReadonlyArray<{ readonly to: number; readonly script: string }> = [{ to: 2, script: version2.join("") }];

/** All tables, for a new store: the same statements that an older one is brought up to date with. */
export const createTables: string = [version1, ...migrations.map(({ script }) => script)].join("");
