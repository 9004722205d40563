// Wrong versions of what the server is given to do: appends, alone and in batches, and those of users' transactions.
import type { Mutant } from "./mutant.ts";

const stores = "tests/contracts/stores";
const race = "tests/race";

export const postgresMutants: readonly Mutant[] = [
  {
    name: "staged-append-at-once",
    reason: "An append is decided when it is staged: the log is locked for as long as the user's transaction stays open.",
    file: "stores/postgres/staged-appends.ts",
    find: "DEFERRABLE INITIALLY DEFERRED",
    replace: "DEFERRABLE INITIALLY IMMEDIATE",
    suites: [`${stores}/postgres-transactions-together.test.ts`],
  },
  {
    name: "staged-append-repeated-in-silence",
    reason: "A repeated id is no error at the COMMIT, so that the user's rows are there twice (L4).",
    file: "stores/postgres/staged-appends.ts",
    find: "ELSIF outcome.known_digest = NEW.digest THEN\n",
    replace: "ELSIF outcome.known_digest = NEW.digest THEN RETURN NULL;\n",
    suites: [`${stores}/postgres-transactions.test.ts`],
  },
  {
    name: "staged-append-in-whatever-transaction",
    reason: "A pool or a connection without a transaction is taken for one: the append takes effect whatever becomes of the rows.",
    file: "stores/postgres/staged-appends.ts",
    find: "THEN RETURN NULL; END IF;\n  INSERT",
    replace: "THEN NULL; END IF;\n  INSERT",
    suites: [`${stores}/postgres-transaction-libraries.test.ts`],
  },
  {
    name: "result-of-another-append",
    reason:
      "What is remembered under the id is taken for this append's, also when its transaction was rolled back and another one took effect.",
    file: "log/staging.ts",
    find: 'record?.state === "done" && eventId === append.events.at(-1)?.id',
    replace: 'record?.state === "done"',
    suites: [`${stores}/postgres-transactions.test.ts`],
  },
  {
    name: "temporary-tables-first",
    reason: "A temporary table of the user's is taken for one of the store's (L1).",
    file: "stores/postgres/open.ts",
    find: "SET LOCAL search_path = ${quoted(schema)}, pg_temp",
    replace: "SET LOCAL search_path = ${quoted(schema)}",
    suites: [`${stores}/postgres-transactions-together.test.ts`],
  },
  {
    name: "positions-reserved-early",
    reason:
      "Positions come from a sequence, before anything is decided: those of a rollback are missing, and a higher one is seen first (L1).",
    file: "stores/postgres/append-function.ts",
    find: "CREATE OR REPLACE FUNCTION append_batch(",
    replace: "CREATE SEQUENCE reserved;\nCREATE OR REPLACE FUNCTION append_batch(",
    also: {
      find: "  IF cardinality(new_types) > 0 THEN",
      replace:
        "  SELECT max(nextval('reserved')) - count(*) INTO head_position FROM unnest(append_batch.places);\n  IF cardinality(new_types) > 0 THEN",
    },
    suites: [race],
    beyondSimulator: true,
  },
  {
    name: "head-read-before-the-lock",
    reason: "The head is read, and then the lock is waited for: whoever had it meanwhile has given the same positions (L1).",
    file: "stores/postgres/append-function.ts",
    find: "  PERFORM pg_advisory_xact_lock(lock_key);\n",
    replace: "",
    also: {
      find: "  IF cardinality(new_types) > 0 THEN",
      replace: "  PERFORM pg_advisory_xact_lock(lock_key);\n  IF cardinality(new_types) > 0 THEN",
    },
    suites: [race],
    beyondSimulator: true,
  },
  {
    name: "lock-and-snapshot-in-one-statement",
    reason: "The statement that takes the lock reads the head, from a snapshot that is as old as the wait for the lock (L1).",
    file: "stores/postgres/append-function.ts",
    find: "  PERFORM pg_advisory_xact_lock(lock_key);\n",
    replace: "",
    also: {
      find: "FROM events e ORDER BY e.position DESC LIMIT 1;",
      replace: "FROM events e WHERE (SELECT pg_advisory_xact_lock(lock_key)) IS NOT NULL ORDER BY e.position DESC LIMIT 1;",
    },
    suites: [race],
    beyondSimulator: true,
  },
  {
    name: "lock-given-back-before-the-commit",
    reason: "The lock is the function's and not the transaction's: the next one reads a head that is not the head any more (L1).",
    file: "stores/postgres/append-function.ts",
    find: "  PERFORM pg_advisory_xact_lock(lock_key);\n",
    replace: "  PERFORM pg_advisory_lock(lock_key);\n",
    also: {
      find: "  -- The table of ids shrinks",
      replace: "  PERFORM pg_advisory_unlock(lock_key);\n  -- The table of ids shrinks",
    },
    suites: [race],
    beyondSimulator: true,
  },
  {
    name: "append-alone-not-compared",
    reason: "An append that comes alone follows whatever version its stream has by now: one of two editors' writes is lost (L3).",
    file: "stores/postgres/append-function.ts",
    find: "ELSE before = expected END) THEN RETURN NULL; END IF;",
    replace: "ELSE true END) THEN RETURN NULL; END IF;",
    suites: ["tests/contracts/stores/stores.test.ts"],
    beyondSimulator: true,
  },
];
