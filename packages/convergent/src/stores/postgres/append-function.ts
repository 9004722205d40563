/**
 * The append as a function of the server: the rules of `log/admission.ts` for a whole batch, in one statement and one round
 * trip. Two appends of one batch never share a stream or an id; a batch in which they do is given in several calls.
 *
 * - L1: the lock is taken by the first statement of the function and kept until the commit; every later statement has a snapshot of
 *   its own, which sees what was committed under the lock before. Positions follow the head that is read there.
 * - L2: the commit is waited for until the WAL is flushed, also where the server's default is not to.
 * - L3, L4: versions and ids are compared with the tables under that lock.
 * - Its plans are made once a connection, when the tables may still be empty and without statistics: so lookups are written as
 *   such (LATERAL … LIMIT 1), and none of them may become a scan of the whole table that grows with the log.
 * - With a strong view in the store it decides nothing and answers no row: handlers are code, and run elsewhere.
 */

import { quoted } from "./transactions.ts";

/** `expected` as a number: versions are what they are. */
export const expectedAny = -1;
export const expectedSome = -2;

export const appendFunction: string = `
CREATE FUNCTION append_batch(
  lock_key bigint, lock_ms integer, now bigint, ids_before bigint,
  streams text[], expecteds integer[], scopes text[], request_ids text[], digests text[], counts integer[],
  places integer[], indexes integer[], event_ids text[], types text[], data text[], metadata text[], event_digests text[], persons text[],
  new_types text[])
RETURNS TABLE (
  admitted boolean, found integer, last bigint, given_at bigint, store_generation bigint,
  known_voided boolean, known_digest text, known_stream text, known_first integer, known_last integer, known_position bigint, known_at bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $function$
#variable_conflict use_column
DECLARE
  head_position bigint;
  head_at bigint;
  generation bigint;
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  PERFORM pg_advisory_xact_lock(lock_key);
  IF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
  IF EXISTS (SELECT FROM definitions WHERE kind = 'strong-view') THEN RETURN; END IF;
  SELECT s.generation INTO generation FROM store s;
  SELECT e.position, greatest(e.at, append_batch.now) INTO head_position, head_at FROM events e ORDER BY e.position DESC LIMIT 1;
  IF NOT FOUND THEN head_position := 0; head_at := append_batch.now; END IF;
  IF cardinality(new_types) > 0 THEN
    INSERT INTO event_types (number, type)
      SELECT (SELECT coalesce(max(t.number), 0) FROM event_types t) + row_number() OVER (ORDER BY given.place), given.type
      FROM unnest(append_batch.new_types) WITH ORDINALITY AS given (type, place)
      WHERE NOT EXISTS (SELECT FROM event_types known WHERE known.type = given.type);
  END IF;
  RETURN QUERY
  WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(append_batch.streams, append_batch.expecteds, append_batch.scopes, append_batch.request_ids, append_batch.digests, append_batch.counts)
      WITH ORDINALITY AS asked (stream, expected, scope, id, digest, count, place)
  ), decided AS MATERIALIZED (
    SELECT asked.*, coalesce(head.version, 0) AS version, known.voided, known.digest AS known_digest, known.stream AS known_stream,
      known.first_version, known.last_version, known.position AS known_position, known.at AS known_at,
      known.scope IS NULL AND CASE asked.expected
        WHEN ${expectedAny} THEN true
        WHEN ${expectedSome} THEN head.version IS NOT NULL
        ELSE coalesce(head.version, 0) = asked.expected END AS admitted
    FROM asked
    LEFT JOIN LATERAL (SELECT e.version FROM events e WHERE e.stream = asked.stream ORDER BY e.version DESC LIMIT 1) head ON true
    LEFT JOIN LATERAL (SELECT * FROM ids i WHERE i.scope = asked.scope AND i.id = asked.id LIMIT 1) known ON true
  ), placed AS MATERIALIZED (
    SELECT decided.*, head_position + sum(CASE WHEN admitted THEN count ELSE 0 END) OVER (ORDER BY place)::bigint AS last
    FROM decided
  ), given AS MATERIALIZED (
    SELECT placed.last - placed.count + event.index AS position, placed.stream, placed.version + event.index AS version, event.*
    FROM unnest(append_batch.places, append_batch.indexes, append_batch.event_ids, append_batch.types, append_batch.data, append_batch.metadata,
      append_batch.event_digests, append_batch.persons) AS event (place, index, id, type, data, metadata, digest, person)
    JOIN placed ON placed.place = event.place
    WHERE placed.admitted
  ), written AS (
    INSERT INTO events (position, id, stream, version, type, at, data, metadata, digest)
      SELECT position, id, stream, version, type, head_at, data, metadata, digest FROM given
  ), owned AS (
    INSERT INTO person_events (person, position) SELECT person, position FROM given WHERE person IS NOT NULL
  ), remembered AS (
    INSERT INTO ids (scope, id, voided, digest, stream, first_version, last_version, position, at)
      SELECT scope, id, false, digest, stream, version + 1, version + count, last, head_at FROM placed
      WHERE admitted AND id IS NOT NULL ORDER BY place
  )
  SELECT placed.admitted, placed.version, placed.last, head_at, generation,
    placed.voided, placed.known_digest, placed.known_stream, placed.first_version, placed.last_version, placed.known_position, placed.known_at
  FROM placed ORDER BY placed.place;
  -- The table of ids shrinks even while it is written at full speed.
  IF EXISTS (SELECT FROM (SELECT i.at FROM ids i WHERE NOT i.voided ORDER BY i.number LIMIT 1) oldest WHERE oldest.at < ids_before) THEN
    DELETE FROM ids i WHERE i.at < ids_before AND (i.scope, i.id) IN
      (SELECT o.scope, o.id FROM ids o WHERE NOT o.voided ORDER BY o.number LIMIT 2 * cardinality(append_batch.streams));
  END IF;
END
$function$;
`;

/** The statement that calls it; its parameters are those of `parametersOf`. */
export function callAppend(schema: string): string {
  return `SELECT * FROM ${quoted(schema)}.append_batch(${Array.from({ length: 19 }, (_, index) => `$${index + 1}`).join(", ")})`;
}
