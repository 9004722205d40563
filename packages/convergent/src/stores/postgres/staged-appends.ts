/**
 * Appends that are staged in a transaction of the caller's, and what makes them true at its COMMIT: one row an append, and a
 * deferred constraint trigger that gives it to `append_batch`. Until then they hold nothing that others wait for.
 *
 * - L1: the trigger takes the log's lock and the transaction keeps it to its end, which is the next thing that happens; positions
 *   are given in the order in which transactions commit. With `SET CONSTRAINTS ALL IMMEDIATE` it happens at that statement
 *   instead, and everybody's appends wait for the caller's COMMIT.
 * - A row never outlives its transaction: the trigger deletes it, a rollback, also to a savepoint, takes it back. So the table
 *   needs no WAL, and nobody sees another one's rows.
 * - Whatever the caller's role and search path are: the functions run with the rights of the store's owner, in the store's schema, and
 *   only roles that were granted EXECUTE on them may stage.
 * - The NOTIFY is part of the commit here, because no process of ours hears of it otherwise. It also keeps these transactions out
 *   of two-phase commit, where one that was prepared and forgotten would hold the log's lock for ever.
 */
import { expectedAny, expectedSome } from "./append-function.ts";
import { quoted } from "./transactions.ts";

/** What the trigger refuses a transaction with: codes of a class that the standard leaves to whoever needs one. */
export const refusals = {
  isolation: "VC001",
  outdated: "VC002",
  conflict: "VC003",
  done: "VC004",
  reused: "VC005",
  voided: "VC006",
  forgotten: "VC007",
} as const;

/** The levels at which each statement sees what was committed before it; the first is another name for the second. */
const levels = "('read uncommitted', 'read committed')";

// Names and types of what is staged; the parameters of `stage_append` are these.
const columns = [
  ["lock_key", "bigint"],
  ["lock_ms", "integer"],
  ["channel", "text"],
  ["now", "bigint"],
  ["ids_before", "bigint"],
  ["stream", "text"],
  ["expected", "integer"],
  ["scope", "text"],
  ["id", "text"],
  ["digest", "text"],
  ["event_ids", "text[]"],
  ["types", "text[]"],
  ["data", "text[]"],
  ["metadata", "text[]"],
  ["event_digests", "text[]"],
  ["persons", "text[]"],
  ["new_types", "text[]"],
] as const;

/** What is staged, by the names of its columns. */
export type StagedColumn = (typeof columns)[number][0];

const names = columns.map(([name]) => name);

function raised(code: string, message: string, detail: string): string {
  return `RAISE EXCEPTION USING ERRCODE = '${code}', MESSAGE = ${message}, DETAIL = ${detail};`;
}

/**
 * The table, its trigger, and the two functions that stage. `staging_place` tells what an append would meet; `stage_append` is given
 * the transaction that was looked at, and answers nothing when it runs in another one: each statement had a transaction of its own.
 *
 * The time of a staged append is that of the process that staged it, carried on by the server's clock to the commit.
 */
export const stagedAppends: string = `
CREATE UNLOGGED TABLE staged_appends (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  staged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ${columns.map(([name, type]) => `${name} ${type} NOT NULL`).join(",\n  ")}
);

CREATE FUNCTION staging_place(OUT begun text, OUT isolated boolean, OUT strong text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $function$
BEGIN
  begun := extract(epoch FROM transaction_timestamp())::text;
  isolated := current_setting('transaction_isolation') NOT IN ${levels};
  IF NOT isolated THEN SELECT d.name INTO strong FROM definitions d WHERE d.kind = 'strong-view' ORDER BY d.name LIMIT 1; END IF;
END
$function$;

CREATE FUNCTION stage_append(begun text, ${columns.map(([name, type]) => `${name} ${type}`).join(", ")}) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $function$
BEGIN
  IF begun <> extract(epoch FROM transaction_timestamp())::text THEN RETURN NULL; END IF;
  INSERT INTO staged_appends (${names.join(", ")})
    VALUES (${names.map((name) => `stage_append.${name}`).join(", ")});
  RETURN pg_current_xact_id()::text;
END
$function$;

CREATE FUNCTION append_staged() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = 0
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off AS $function$
DECLARE
  count integer := cardinality(NEW.event_ids);
  outcome record;
  person text;
BEGIN
  DELETE FROM staged_appends s WHERE s.number = NEW.number;
  IF current_setting('transaction_isolation') NOT IN ${levels} THEN
    ${raised(refusals.isolation, "'an append is staged in a transaction that is ' || current_setting('transaction_isolation') || '; nothing of it was kept. Begin it with READ COMMITTED'", "'{}'")}
  END IF;
  SELECT * INTO outcome FROM append_batch(
    lock_key => NEW.lock_key, lock_ms => NEW.lock_ms,
    now => NEW.now + greatest(0, floor(extract(epoch FROM clock_timestamp() - NEW.staged_at) * 1000))::bigint, ids_before => NEW.ids_before,
    streams => ARRAY[NEW.stream], expecteds => ARRAY[NEW.expected], scopes => ARRAY[NEW.scope], request_ids => ARRAY[NEW.id],
    digests => ARRAY[NEW.digest], counts => ARRAY[count],
    places => array_fill(1, ARRAY[count]), indexes => ARRAY(SELECT generate_series(1, count)),
    event_ids => NEW.event_ids, types => NEW.types, data => NEW.data, metadata => NEW.metadata,
    event_digests => NEW.event_digests, persons => NEW.persons, new_types => NEW.new_types);
  IF NOT FOUND THEN
    ${raised(refusals.outdated, "'a strong view came into the store after the append to ' || NEW.stream || ' was staged; nothing of the transaction was kept. Run a command instead, outside of it'", "json_build_object('stream', NEW.stream)::text")}
  ELSIF outcome.known_voided THEN
    ${raised(refusals.voided, "'the id ' || NEW.id || ' was voided and is refused for ever; nothing of the transaction was kept. Ask again with a new id if it is still wanted'", "json_build_object('id', NEW.id)::text")}
  ELSIF outcome.known_digest = NEW.digest THEN
    ${raised(
      refusals.done,
      "'the append with the id ' || NEW.id || ' is in the log already, at position ' || outcome.known_position || '; nothing of the transaction was kept'",
      "json_build_object('scope', NEW.scope, 'id', NEW.id, 'stream', outcome.known_stream, 'firstVersion', outcome.known_first, 'lastVersion', outcome.known_last, 'position', outcome.known_position, 'at', outcome.known_at)::text",
    )}
  ELSIF outcome.known_digest IS NOT NULL THEN
    ${raised(refusals.reused, "'the id ' || NEW.id || ' was used before with other content; nothing of the transaction was kept. Use a new id for a new request'", "json_build_object('id', NEW.id)::text")}
  ELSIF NOT outcome.admitted THEN
    ${raised(
      refusals.conflict,
      `NEW.stream || ' is at version ' || outcome.found || ', and the append expected '
      || CASE NEW.expected WHEN ${expectedAny} THEN 'any' WHEN ${expectedSome} THEN 'some' WHEN 0 THEN 'none' ELSE NEW.expected::text END
      || '; nothing of the transaction was kept. Read it again and decide anew'`,
      "json_build_object('stream', NEW.stream, 'version', outcome.found)::text",
    )}
  END IF;
  -- Under the lock: whoever forgets a person writes so under it. Each is looked up by itself, so that no plan scans the log.
  IF cardinality(array_remove(NEW.persons, NULL)) > 0 THEN
    SELECT given.person INTO person FROM unnest(NEW.persons) AS given (person)
      LEFT JOIN LATERAL (SELECT e.stream FROM events e WHERE e.stream = '$person/' || given.person LIMIT 1) gone ON true
      LEFT JOIN LATERAL (SELECT f.person FROM forgettings f WHERE f.person = given.person LIMIT 1) going ON true
      WHERE gone.stream IS NOT NULL OR going.person IS NOT NULL LIMIT 1;
    IF FOUND THEN
      ${raised(refusals.forgotten, "'the person ' || person || ' was forgotten after the append to ' || NEW.stream || ' was staged; nothing of the transaction was kept'", "json_build_object('person', person)::text")}
    END IF;
  END IF;
  PERFORM pg_notify(NEW.channel, '');
  RETURN NULL;
END
$function$;

CREATE CONSTRAINT TRIGGER append_staged AFTER INSERT ON staged_appends DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION append_staged();
ALTER TABLE staged_appends ENABLE ALWAYS TRIGGER append_staged;
REVOKE ALL ON FUNCTION staging_place, stage_append, append_staged FROM PUBLIC;
`;

/** What an append would meet in the transaction that asks. */
export function lookBefore(schema: string): string {
  return `SELECT begun, isolated, strong FROM ${quoted(schema)}.staging_place()`;
}

/** Stages; parameters: what `lookBefore` answered as `begun`, and the values of `stagedValues`. */
export function stage(schema: string): string {
  const given = columns.map(([name, type], index) => `${name} => $${index + 2}::${type}`);
  return `SELECT ${quoted(schema)}.stage_append(begun => $1::text, ${given.join(", ")}) AS transaction`;
}

/** In the order of their parameters. */
export function stagedValues<T>(values: Readonly<Record<StagedColumn, T>>): T[] {
  return names.map((name) => values[name]);
}

/**
 * What became of a staged append, in one snapshot: whether its transaction has ended there, how, and what is remembered under its id, with
 * the id of the event that it led to. A transaction that runs has a lock on its own number; that is how it is now, and not in the snapshot.
 */
export const readStaged = `SELECT ended.visible, CASE WHEN ended.visible THEN pg_xact_status($1::xid8) END,
    CASE WHEN NOT ended.visible THEN
      EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'transactionid' AND l.granted AND l.transactionid = $1::xid8::xid) END, e.id,
    i.voided, i.digest, i.stream, i.first_version, i.last_version, i.position, i.at
  FROM (SELECT pg_visible_in_snapshot($1::xid8, pg_current_snapshot()) AS visible) ended
  LEFT JOIN ids i ON i.scope = $2 AND i.id = $3
  LEFT JOIN all_events e ON e.position = i.position`;
