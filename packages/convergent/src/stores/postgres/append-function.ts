/**
 * The append as a function of the server: the rules of `log/admission.ts` for a whole batch, in one statement and one round
 * trip. Two appends of one batch never share a stream or an id; a batch in which they do is given in several calls.
 *
 * - L1: the lock is taken by the first statement of the function and kept until the commit; every later statement has a snapshot of
 *   its own, which sees what was committed under the lock before. Positions follow the head that is read there.
 * - L2: the commit is waited for until the WAL is flushed, also where the server's default is not to.
 * - L3, L4: two unique indexes decide. The first attempt takes new streams and ids for new without looking; when an index objects, what the
 *   attempt wrote is taken back, and the second one looks everything up, under the same lock. Looking up what is not there was a third
 *   of the server's time of an append (64 in a call: 1.4 ms by 2.6 ms of CPU). In a store with an archive everything is looked up at
 *   once: the first events of a stream may be out of the index.
 * - Its plans are made once a connection, when the tables may still be empty and without statistics: so lookups are written as
 *   such (LATERAL … LIMIT 1), and none of them may become a scan of the whole table that grows with the log. They are small plans,
 *   with arrays between them: one plan for everything had thirteen nodes, which cost 0.3 ms however few rows came through. What is
 *   inserted is taken out of the arrays by its place, which is one step in those of PL/pgSQL: by unnest each array became a stored set
 *   of rows, and 5% fewer appends a second were written.
 * - With a strong view in the store it decides nothing and answers no row: handlers are code, and run elsewhere.
 *
 * It answers one row an append; one in all, that of the first, when all are admitted at the versions that they expected.
 */

import { movedState } from "./queries.ts";
import { quoted } from "./transactions.ts";

/** `expected` as a number: versions are what they are. */
export const expectedAny = -1;
export const expectedSome = -2;

const language = `LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $function$
#variable_conflict use_column
`;

const standing = `  head_position bigint;
  head_at bigint;
  generation bigint;
  asked_at timestamptz := clock_timestamp();
  waited double precision;
  looks boolean;
`;

/** Takes the lock and reads, in later statements, what the log stands at. */
function standUnderLock(name: string, leave: string): string {
  return `  PERFORM set_config('lock_timeout', lock_ms::text, true);
  PERFORM pg_advisory_xact_lock(lock_key);
  waited := 1000 * extract(epoch FROM clock_timestamp() - asked_at);
  IF current_setting('synchronous_commit') = 'off' THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
  IF EXISTS (SELECT FROM definitions WHERE kind = 'strong-view') THEN ${leave}; END IF;
  SELECT s.generation, s.archived INTO generation, looks FROM store s;
  SELECT e.position, greatest(e.at, ${name}.now) INTO head_position, head_at FROM events e ORDER BY e.position DESC LIMIT 1;
  IF NOT FOUND THEN head_position := 0; head_at := ${name}.now; END IF;
`;
}

/** `count` of them at most: twice as many as came in. */
function forgetOldIds(count: string, when = ""): string {
  return `  -- The table of ids shrinks even while it is written at full speed.
  IF ${when}EXISTS (SELECT FROM (SELECT i.at FROM ids i WHERE NOT i.voided ORDER BY i.number LIMIT 1) oldest WHERE oldest.at < ids_before) THEN
    DELETE FROM ids i WHERE i.at < ids_before AND (i.scope, i.id) IN
      (SELECT o.scope, o.id FROM ids o WHERE NOT o.voided ORDER BY o.number LIMIT ${count});
  END IF;
`;
}

export const appendFunction: string = `
CREATE OR REPLACE FUNCTION append_batch(
  lock_key bigint, lock_ms integer, now bigint, ids_before bigint,
  streams text[], expecteds integer[], scopes text[], request_ids text[], digests text[], counts integer[],
  places integer[], indexes integer[], event_ids text[], types text[], data text[], metadata text[], event_digests text[], persons text[],
  new_types text[])
RETURNS TABLE (
  admitted boolean, found integer, last bigint, given_at bigint, store_generation bigint,
  known_voided boolean, known_digest text, known_stream text, known_first integer, known_last integer, known_position bigint, known_at bigint,
  lock_waited_ms double precision)
${language}DECLARE
${standing}  -- By the append's place in the batch: whether it is admitted, its stream's version before it, and its last position.
  admits boolean[];
  versions integer[];
  lasts bigint[];
  last_given bigint;
  size integer;
BEGIN
${standUnderLock("append_batch", "RETURN")}  IF cardinality(new_types) > 0 THEN
    INSERT INTO event_types (number, type)
      SELECT (SELECT coalesce(max(t.number), 0) FROM event_types t) + row_number() OVER (ORDER BY given.place), given.type
      FROM unnest(append_batch.new_types) WITH ORDINALITY AS given (type, place)
      WHERE NOT EXISTS (SELECT FROM event_types known WHERE known.type = given.type);
  END IF;
  FOR attempt IN 1..2 LOOP
    BEGIN
      IF NOT looks AND 0 = ALL (expecteds) THEN
        versions := expecteds;
        admits := array_fill(true, ARRAY[cardinality(streams)]);
        lasts := NULL;
        last_given := head_position;
        FOREACH size IN ARRAY counts LOOP
          last_given := last_given + size;
          lasts := lasts || last_given;
        END LOOP;
      ELSE
        SELECT array_agg(placed.admitted ORDER BY placed.place), array_agg(placed.version ORDER BY placed.place),
          array_agg(placed.last ORDER BY placed.place)
        INTO admits, versions, lasts
        FROM (
          SELECT decided.place, decided.admitted, decided.version,
            head_position + sum(CASE WHEN decided.admitted THEN decided.count ELSE 0 END) OVER (ORDER BY decided.place)::bigint AS last
          FROM (
            SELECT asked.place, asked.count, coalesce(head.version, 0) AS version,
              known.id IS NULL AND CASE asked.expected
                WHEN ${expectedAny} THEN true
                WHEN ${expectedSome} THEN head.version IS NOT NULL
                ELSE coalesce(head.version, 0) = asked.expected END AS admitted
            FROM unnest(append_batch.streams, append_batch.expecteds, append_batch.scopes, append_batch.request_ids, append_batch.counts)
              WITH ORDINALITY AS asked (stream, expected, scope, id, count, place)
            LEFT JOIN LATERAL (SELECT e.version FROM events e WHERE e.stream = asked.stream AND (looks OR asked.expected <> 0)
              ORDER BY e.version DESC LIMIT 1) head ON true
            LEFT JOIN LATERAL (SELECT i.id FROM ids i WHERE i.scope = asked.scope AND i.id = asked.id AND looks LIMIT 1) known ON true
          ) decided
        ) placed;
      END IF;
      INSERT INTO events (position, id, stream, version, type, at, data, metadata, digest)
        SELECT lasts[places[event]] - counts[places[event]] + indexes[event], event_ids[event], streams[places[event]],
          versions[places[event]] + indexes[event], types[event], head_at, append_batch.data[event], append_batch.metadata[event],
          event_digests[event]
        FROM generate_series(1, cardinality(places)) event
        WHERE admits[places[event]];
      INSERT INTO ids (scope, id, voided, digest, stream, first_version, last_version, position, at)
        SELECT scopes[place], request_ids[place], false, digests[place], streams[place], versions[place] + 1, versions[place] + counts[place],
          lasts[place], head_at
        FROM generate_series(1, cardinality(streams)) place
        WHERE request_ids[place] IS NOT NULL AND admits[place];
      IF cardinality(array_remove(persons, NULL)) > 0 THEN
        INSERT INTO person_events (person, position)
          SELECT event.person, lasts[event.place] - counts[event.place] + event.index
          FROM unnest(append_batch.places, append_batch.indexes, append_batch.persons) AS event (place, index, person)
          WHERE event.person IS NOT NULL AND admits[event.place];
      END IF;
      EXIT;
    -- A store that was moved still knows what was appended before.
    EXCEPTION WHEN unique_violation OR SQLSTATE '${movedState}' THEN
      IF looks THEN RAISE; END IF;
      looks := true;
    END;
  END LOOP;
  IF true = ALL (admits) AND 0 <= ALL (expecteds) THEN
    RETURN QUERY SELECT true, versions[1], lasts[1], head_at, generation,
      NULL::boolean, NULL::text, NULL::text, NULL::integer, NULL::integer, NULL::bigint, NULL::bigint, waited;
  ELSE
    RETURN QUERY SELECT admits[asked.place], versions[asked.place], lasts[asked.place], head_at, generation,
        known.voided, known.digest, known.stream, known.first_version, known.last_version, known.position, known.at, waited
      FROM unnest(append_batch.scopes, append_batch.request_ids) WITH ORDINALITY AS asked (scope, id, place)
      LEFT JOIN LATERAL (SELECT * FROM ids i WHERE i.scope = asked.scope AND i.id = asked.id AND NOT admits[asked.place] LIMIT 1) known ON true
      ORDER BY asked.place;
  END IF;
${forgetOldIds("2 * cardinality(append_batch.streams)")}END
$function$;
`;

/**
 * The same for one append of events of known types and of no person, which is most of what comes alone: with plain values and
 * without a second attempt it is half the server's work (115 µs by 240 µs for one event, and 100 µs fewer on the way: a column of one
 * row is an array all the same; an answer of one text, and not of a row, 10 to 20 µs fewer). The events behind the first one are arrays,
 * null where there are none. It writes what can only be admitted, and answers the stream's version before it, its last position, its
 * time, the store's generation and how many milliseconds it waited for the lock; when a unique index objects, or when it answers NULL,
 * nothing is written and `append_batch` has to say why. Old ids are looked for once in sixteen positions: the look is a tenth of the call.
 */
export const appendAloneFunction: string = `
CREATE FUNCTION append_alone(
  lock_key bigint, lock_ms integer, now bigint, ids_before bigint, stream text, expected integer, scope text, request_id text, digest text,
  event_id text, type text, data text, metadata text, event_digest text,
  more_ids text[], more_types text[], more_data text[], more_metadata text[], more_digests text[])
RETURNS text
${language}DECLARE
${standing}  count integer := 1 + coalesce(cardinality(more_ids), 0);
  before integer := 0;
  last bigint;
BEGIN
${standUnderLock("append_alone", "RETURN NULL")}  IF looks OR expected <> 0 THEN
    before := coalesce((SELECT e.version FROM events e WHERE e.stream = append_alone.stream ORDER BY e.version DESC LIMIT 1), 0);
    IF NOT (CASE expected WHEN ${expectedAny} THEN true WHEN ${expectedSome} THEN before > 0 ELSE before = expected END) THEN RETURN NULL; END IF;
  END IF;
  INSERT INTO events (position, id, stream, version, type, at, data, metadata, digest)
    VALUES (head_position + 1, event_id, append_alone.stream, before + 1, append_alone.type, head_at, append_alone.data, append_alone.metadata,
      event_digest);
  IF count > 1 THEN
    INSERT INTO events (position, id, stream, version, type, at, data, metadata, digest)
      SELECT head_position + 1 + event, more_ids[event], append_alone.stream, before + 1 + event, more_types[event], head_at, more_data[event],
        more_metadata[event], more_digests[event]
      FROM generate_series(1, cardinality(more_ids)) event;
  END IF;
  last := head_position + count;
  IF request_id IS NOT NULL THEN
    INSERT INTO ids (scope, id, voided, digest, stream, first_version, last_version, position, at)
      VALUES (append_alone.scope, request_id, false, append_alone.digest, append_alone.stream, before + 1, before + count, last, head_at);
  END IF;
${forgetOldIds("32", "last / 16 > head_position / 16 AND ")}  RETURN concat_ws(' ', before, last, head_at, generation, waited);
END
$function$;
`;

/** The statement that calls `append_batch`; its parameters are those of `parametersOf`. */
export function callAppend(schema: string): string {
  return `SELECT * FROM ${calling(schema, "append_batch")}`;
}

/** The statement that calls `append_alone`; its parameters are those of `parametersOfOne`. */
export function callAppendAlone(schema: string): string {
  return `SELECT ${calling(schema, "append_alone")}`;
}

const parameters = Array.from({ length: 19 }, (_, index) => `$${index + 1}`).join(", ");

function calling(schema: string, name: string): string {
  return `${quoted(schema)}.${name}(${parameters})`;
}
