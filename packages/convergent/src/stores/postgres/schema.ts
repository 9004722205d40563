/**
 * The tables of a store, in a schema of their own, and how an older one becomes a present one. Names stand without their
 * schema: every transaction sets the search path.
 */
import { appendAloneFunction, appendFunction } from "./append-function.ts";
import { stagedAppends } from "./staged-appends.ts";

/** Version of the tables below; a schema with a higher one is refused (`store_newer`). */
export const schemaVersion = 4;

/**
 * - Texts compare by their bytes (`COLLATE "C"`), which for UTF-8 is by code point: the order of every index value, as in every
 *   other store.
 * - `data` and `metadata` are text: the exact bytes that the digest covers, and nothing that the server parses.
 * - Stream heads (L3) are the last entries of the index by stream: they cannot disagree with the events, and no row is changed
 *   by an append.
 * - `ids` counts its rows, so that the oldest are found at one end of an index. Voided ones are kept for ever.
 * - Index entries are kept twice: by document, to change and to test them, and by value, to run along them.
 */
const version1 = `
CREATE TABLE store (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  schema_version integer NOT NULL,
  name text NOT NULL,
  signing_key text NOT NULL,
  generation bigint NOT NULL DEFAULT 0,
  archived boolean NOT NULL DEFAULT false
);

CREATE TABLE epochs (
  number integer PRIMARY KEY,
  id text NOT NULL UNIQUE,
  first bigint NOT NULL
);

CREATE TABLE events (
  position bigint PRIMARY KEY,
  id text NOT NULL,
  stream text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  type text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  data text NOT NULL,
  metadata text NOT NULL,
  digest text NOT NULL
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);

CREATE TABLE archived_events (LIKE events INCLUDING ALL);
CREATE VIEW all_events AS SELECT * FROM events UNION ALL SELECT * FROM archived_events;

CREATE TABLE event_types (
  number integer PRIMARY KEY,
  type text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE ids (
  scope text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  voided boolean NOT NULL,
  digest text NOT NULL,
  stream text NOT NULL,
  first_version integer NOT NULL,
  last_version integer NOT NULL,
  position bigint NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (scope, id)
);
CREATE INDEX ids_by_number ON ids (voided, number);

CREATE TABLE checkpoints (
  reader text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  source text COLLATE "C" NOT NULL,
  slot integer NOT NULL,
  epoch text NOT NULL,
  position bigint NOT NULL,
  reached bigint NOT NULL,
  seen text NOT NULL,
  "check" text NOT NULL,
  PRIMARY KEY (reader, version, source, slot)
) WITH (fillfactor = 50);

CREATE TABLE documents (
  view text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  document text NOT NULL,
  PRIMARY KEY (view, version, key)
) WITH (fillfactor = 85);

CREATE TABLE index_entries (
  view text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  key text COLLATE "C" NOT NULL,
  field text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  PRIMARY KEY (view, version, key, field)
);
CREATE UNIQUE INDEX index_entries_by_value ON index_entries (view, version, field, value, key);

CREATE TABLE definitions (
  name text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  kind text NOT NULL,
  fingerprint text NOT NULL,
  state text NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (name, version)
);
CREATE INDEX definitions_strong ON definitions (name, version) WHERE kind = 'strong-view';

CREATE TABLE consumed (
  reader text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  range integer NOT NULL,
  events bigint NOT NULL,
  sum_a bigint NOT NULL,
  sum_b bigint NOT NULL,
  verified boolean NOT NULL,
  PRIMARY KEY (reader, version, range)
);

CREATE TABLE snapshots (
  stream text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  at integer NOT NULL,
  event_id text NOT NULL,
  state text NOT NULL,
  PRIMARY KEY (stream, version)
);

CREATE TABLE person_events (
  person text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (person, position)
);

CREATE TABLE forgettings (
  person text COLLATE "C" PRIMARY KEY,
  reason text NOT NULL,
  actor text NOT NULL
);

CREATE TABLE members (
  id text COLLATE "C" PRIMARY KEY,
  place text NOT NULL,
  process text NOT NULL,
  beat bigint NOT NULL,
  readers text NOT NULL
);

CREATE TABLE leases (
  reader text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  source text COLLATE "C" NOT NULL,
  slot integer NOT NULL,
  owner text COLLATE "C" NOT NULL,
  fence bigint NOT NULL,
  PRIMARY KEY (reader, version, source, slot)
);
CREATE INDEX leases_by_owner ON leases (owner, fence);

CREATE TABLE parked (
  reader text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  source text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  slot integer NOT NULL,
  order_key text COLLATE "C" NOT NULL,
  event_id text NOT NULL,
  type text NOT NULL,
  state text NOT NULL,
  error text NOT NULL,
  attempts integer NOT NULL,
  since bigint NOT NULL,
  request text NOT NULL,
  PRIMARY KEY (reader, version, source, order_key, position)
);
CREATE INDEX parked_requests ON parked (reader) WHERE request <> '';

CREATE TABLE discards (
  reader text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  type text NOT NULL,
  order_key text NOT NULL,
  error text NOT NULL,
  reason text NOT NULL,
  "by" text NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (reader, source, event_id)
);
`;

/**
 * Steps from each older version to the next, in order; the first one makes a new store. What a step replaces stays where processes of the
 * release before may still call it: versions 2 and 3 brought two `append_one`, which no store has that was made since. The `append_batch`
 * of version 4 is called and answers as that of version 1 did.
 */
export const migrations: ReadonlyArray<{ readonly to: number; readonly script: string }> = [
  { to: 1, script: version1 + stagedAppends },
  { to: 4, script: appendFunction + appendAloneFunction },
];
