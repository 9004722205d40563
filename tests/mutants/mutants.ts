// Wrong versions of our own code, each a small patch with the reason why somebody might write it, and what it breaks. `npm run
// mutants` applies them one at a time; every one must be caught, by the simulator or by the suites that are named.

/** Text that is replaced. */
export interface Patch {
  /** Must stand in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant extends Patch {
  readonly name: string;
  /** Why it is wrong, in a sentence. */
  readonly reason: string;
  /** Below `packages/convergent/src`. */
  readonly file: string;
  /** A second place of the same file. */
  readonly also?: Patch;
  /** Suites that are run when the simulator does not catch it. Default: none. */
  readonly suites?: readonly string[];
  /** The simulator is not asked: the suites must catch it, on the store that they run on. */
  readonly beyondSimulator?: true;
}

/** Its places, in the order of the file or not. */
export function patchesOf({ find, replace, also }: Mutant): readonly Patch[] {
  return [{ find, replace }, ...(also ? [also] : [])];
}

const stores = "tests/contracts/stores";
const sagas = "tests/contracts/sagas/sagas.test.ts";
const race = "tests/race";

export const mutants: readonly Mutant[] = [
  {
    name: "reader-skips-past-a-full-page",
    reason: "A page that is full says that all was looked through up to head: what did not fit is never read (R1).",
    file: "log/log.ts",
    find: "scanned: events.length === query.limit ? (events.at(-1) as StoredEvent).position : upTo, head }",
    replace: "scanned: upTo, head }",
    suites: ["packages/convergent/src/log", "packages/convergent/src/readers"],
  },
  {
    name: "gate-lets-several-through",
    reason: "Transactions of one process do not wait for each other: two of them give the same positions (L1).",
    file: "stores/gate.ts",
    find: "const turn = this.#last.then(work);",
    replace: "const turn = work();",
  },
  {
    name: "checkpoint-not-fenced",
    reason: "Whoever believes to own a slot may commit: an owner that comes back late applies events a second time (R3).",
    file: "readers/fence.ts",
    find: "return lease?.owner === member && lease.fence === fences.get(slot);",
    replace: "return lease !== undefined && member !== fences.get(slot)?.toString();",
  },
  {
    name: "takeover-keeps-the-fence",
    reason: "A slot changes hands under the same fence, so that its earlier owner's commit still fits when it gets it back (R3).",
    file: "readers/membership.ts",
    find: "return isMovable ? { ...lease, owner, fence: lease.fence + 1 } : lease;",
    replace: "return isMovable ? { ...lease, owner } : lease;",
    suites: ["packages/convergent/src/readers", "tests/contracts/readers"],
  },
  {
    name: "acknowledged-before-the-commit",
    reason: "Rows are visible, and their authors answered, while the journal is still being written (L2).",
    file: "stores/memory/memory-store.ts",
    find: "        await this.#journal.append(changes);\n        this.#tables.apply(changes);",
    replace: "        this.#tables.apply(changes);\n        void this.#journal.append(changes).catch(() => undefined);",
  },
  {
    name: "visible-before-durable",
    reason: "Others read what the disk has not confirmed, and act on it (L2).",
    file: "stores/memory/memory-store.ts",
    find: "        await this.#journal.append(changes);\n        this.#tables.apply(changes);",
    replace: "        this.#tables.apply(changes);\n        await this.#journal.append(changes);",
  },
  {
    name: "journal-not-synced",
    reason: "A write that the operating system has is taken for one that the disk has (L2).",
    file: "stores/memory/journal.ts",
    find: "      await this.#file.sync();\n    } catch (cause) {\n      // After",
    replace: "    } catch (cause) {\n      // After",
  },
  {
    name: "recovered-journal-not-synced",
    reason: "What a killed process left unsynced is shown and answered, and a power cut takes it back (L2).",
    file: "stores/memory/journal.ts",
    find: "if (begun) await confirmed(file, path);",
    replace: "if (begun) await Promise.resolve(file);",
    suites: ["packages/convergent/src/stores/memory", "tests/simulations"],
  },
  {
    name: "torn-line-not-cut-off",
    reason: "The next commit is written behind what a crash left half, and the store cannot be opened any more.",
    file: "stores/memory/journal.ts",
    find: "if (good < bytes.length) await file.truncate(good);",
    replace: "",
  },
  {
    name: "failed-sync-tried-again",
    reason: "After a failed fsync the next one succeeds and says nothing about the pages that were dropped (Rebello et al., ATC 2020).",
    file: "stores/memory/journal.ts",
    find: '      this.#broken = true;\n      throw new ConvergentError(\n        "outcome_unknown"',
    replace: '      throw new ConvergentError(\n        "outcome_unknown"',
    suites: ["packages/convergent/src/stores/memory"],
  },
  {
    name: "synchronous-normal",
    reason: "SQLite answers a COMMIT before the WAL is on the disk (L2).",
    file: "stores/sqlite/open.ts",
    find: "PRAGMA synchronous = FULL;",
    replace: "PRAGMA synchronous = NORMAL;",
    suites: [stores],
  },
  {
    name: "expected-checked-outside",
    reason: "The expected version is compared before the append and not in it: of two writers both are right (L3).",
    file: "log/admission.ts",
    find: '  if (!meets(request.expected, version)) return { kind: "conflict", version };\n  const events = append.events',
    replace: "  const events = append.events",
  },
  {
    name: "ids-looked-up-outside",
    reason: "An id is looked for before the append and not in it: a request that came twice takes effect twice (L4).",
    file: "log/admission.ts",
    find: "  const known = earlier(append, ledger);\n  if (known) return known;\n  const { request, idKey, digest } = append;",
    replace: "  const { request, idKey, digest } = append;",
  },
  {
    name: "ids-forgotten-at-once",
    reason: "What is remembered of appends is thrown away while a retry may still come (L4).",
    file: "log/admission.ts",
    find: "await tx.forgetIds(idsBefore, 2 * ledger.newIds.length);",
    replace: "await tx.forgetIds(Number.MAX_SAFE_INTEGER, 2 * ledger.newIds.length);",
  },
  {
    name: "time-goes-back",
    reason: "An event's time is the clock's, whatever the one before it had (L1).",
    file: "log/admission.ts",
    find: "const at = Math.max(host.clock.now(), head.at);",
    replace: "const at = host.clock.now();",
  },
  {
    name: "version-of-a-batch-not-raised",
    reason: "Two appends of one batch to one stream get the same version (L3).",
    file: "log/admission.ts",
    find: "return (this.changedHeads.get(stream) ?? this.#heads.get(stream))?.version ?? 0;",
    replace: "return this.#heads.get(stream)?.version ?? 0;",
    suites: [stores],
  },
  {
    name: "token-compared-without-history",
    reason: "A token's position is compared, and not whether this history has the event that it names (L5).",
    file: "log/log.ts",
    find: "    if (await this.#holds(entry)) return;\n    await this.doubt(",
    replace: "    if (entry.position >= 0) return;\n    await this.doubt(",
    suites: [stores, "tests/contracts/http"],
  },
  {
    name: "older-copy-not-noticed",
    reason: "The witness is not compared with the log, and an older copy goes on in the same epoch (L5).",
    file: "log/witness.ts",
    find: "if (!claim || (await this.#isKept(claim))) return undefined;",
    replace: "if (claim === undefined || claim.position > 0) return undefined;",
    suites: [stores],
  },
  {
    name: "always-fresh",
    reason: "A read is called fresh although it lacks what was asked for.",
    file: "views/level.ts",
    find: "  if (level.unmet.length > 0 || level.unchecked.length > 0 || comparePositions(asOf, level.position) < 0) return false;",
    replace: "  if (level.unmet.length > 0 || level.unchecked.length > 0) return false;",
  },
  {
    name: "label-from-outside-the-snapshot",
    reason: "How far a view is is asked of the reader after its documents were read: the label is better than the value.",
    file: "views/answers.ts",
    find: "      const reached = earlierPosition(position, head.position);",
    replace: "      const reached = earlierPosition(position, head.position) && log.headKnown.position;",
  },
  {
    name: "replica-trusted-without-its-checkpoint",
    reason: "A replica's answer is as far as this process knows its own reader to be, whatever the replica's rows say.",
    file: "views/standing.ts",
    find: "return { position: await place.of(tx, { rows, epoch: epoch.id, head: head.position, key }), parked, head };",
    replace:
      "await place.of(tx, { rows, epoch: epoch.id, head: head.position, key });\n        return { position: key === undefined ? reader.position : reader.positionOf(key), parked, head };",
    suites: [`${stores}/replica`],
  },
  {
    name: "replica-behind-nothing-but-itself",
    reason: "How far a replica's answer is behind is counted from the replica's own head: what it has not heard of it does not lack.",
    file: "views/replica-answers.ts",
    find: "const positions = laterPosition(own, known) - asOf;",
    replace: "const positions = (known >= 0 ? own : known) - asOf;",
    suites: [`${stores}/replica`],
  },
  {
    name: "unheard-of-events-taken-for-young",
    reason: "A replica meets a level of age as soon as all is young that this process has heard of, however long ago it asked.",
    file: "views/replica-answers.ts",
    find: "if (asked && maxAgeMs === undefined) return true;",
    replace: "if (asked || maxAgeMs !== undefined) return true;",
    suites: [`${stores}/replica`],
  },
  {
    name: "promoted-replica-used-on",
    reason: "A replica is looked at once and then believed to be one for ever: what a promoted one writes by itself is read.",
    file: "stores/postgres/replica.ts",
    find: "if (isInRecovery !== true)",
    replace: "if (isInRecovery === undefined)",
    suites: [`${stores}/replica`],
  },
  {
    name: "swapped-too-early",
    reason: "A new version of a view answers before it has passed the old one.",
    file: "views/rebuild.ts",
    find: "return comparePositions(position, this.#target) >= 0 && (!active || (await this.#holdsAll(tx, active)));",
    replace: "return !active || (await this.#holdsAll(tx, active));",
    suites: ["packages/convergent/src/views", "packages/convergent/src/service", stores],
  },
  {
    name: "parked-event-skipped",
    reason: "What failed is forgotten instead of set aside (R4).",
    file: "readers/batches.ts",
    find: "if (asideRows.length > 0) await tx.parking.saveEvents(asideRows);",
    replace: "",
  },
  {
    name: "later-events-do-not-wait",
    reason: "Later events of a key are applied although an earlier one was set aside (R4).",
    file: "readers/batches.ts",
    find: "const work = { event, key, slot, item, behind: this.#owner.aside.has(key), discarded: discarded !== undefined };",
    replace: "const work = { event, key, slot, item, behind: false, discarded: discarded !== undefined };",
  },
  {
    name: "events-of-others-passed",
    reason: "A process that owns only some slots takes the others for as far as it has read itself (R1).",
    file: "readers/slot-places.ts",
    find: "if (comparePositions(position, last) > 0 && missing.length < missingMax) missing.push(position);",
    replace: "if (comparePositions(position, last) < 0) missing.push(position);",
  },
  {
    name: "adopted-slots-not-read-again",
    reason: "A slot that comes from another process goes on where this one has read, and not where its row is (R1).",
    file: "readers/slot-places.ts",
    find: "if (again) next = earlierPosition(next, quiet);",
    replace: "if (again && fence === undefined) next = earlierPosition(next, quiet);",
  },
  {
    name: "applied-again-after-adoption",
    reason: "An event is applied although the slot's row has passed it (R2).",
    file: "readers/slot-places.ts",
    find: 'if (comparePositions(position, known.stored) <= 0) return "done";',
    replace: 'if (position < 1) return "done";',
  },
  {
    name: "quiet-although-wanted",
    reason: "A reader passes over an event that came while it was looked elsewhere (R1).",
    file: "log/followers.ts",
    find: "    return next === undefined ? after : ((next - 1) as Position);",
    replace: "    return next === undefined ? after : this.#through;",
    suites: ["packages/convergent/src/log", "packages/convergent/src/readers"],
  },
  {
    name: "unique-by-the-batch-only",
    reason: "A unique field is compared within a batch of appends and not with what the view holds.",
    file: "views/unique.ts",
    find: "if (owner !== undefined && !changed.has(owner)) throw",
    replace: "if (owner !== undefined && owner === key && !changed.has(owner)) throw",
  },
  {
    name: "retry-under-a-new-id",
    reason: "A command without an answer is sent again as another command.",
    file: "client/transport.ts",
    find: "...(id === undefined ? {} : { [names.idempotencyKey]: id }),",
    replace: "...(id === undefined ? {} : { [names.idempotencyKey]: this.host.random.id() }),",
    suites: ["packages/convergent/src/client", "tests/contracts/client"],
  },
  {
    name: "timeout-taken-for-a-failure",
    reason: "A command whose answer was lost is reported as one that did not happen.",
    file: "client/transport.ts",
    find: 'return { kind: "again", unknown: true, error, retryAfterMs: 0 };',
    replace: 'return { kind: "again", unknown: false, error, retryAfterMs: 0 };',
    suites: ["packages/convergent/src/client", "tests/contracts/client"],
  },
  {
    name: "merged-token-loses-the-newer",
    reason: "Of two entries of one store the older one is kept.",
    file: "client/session.ts",
    find: "  wrote(token: Token): void {\n    this.#token = joined(this.#token, token);",
    replace: "  wrote(token: Token): void {\n    this.#token = this.#token.entries.length > 0 ? this.#token : token;",
    suites: ["packages/convergent/src/client", "tests/contracts/client"],
  },
  {
    name: "state-from-memory-for-refusals",
    reason: "A command is refused by a state that this process remembers, without asking the store whether it still is so.",
    file: "entities/entity-runtime.ts",
    find: 'if ("kind" in events || events.length === 0) return undefined;',
    replace: 'if ("kind" in events) return events;',
    suites: ["packages/convergent/src/entities"],
  },
  {
    name: "foreign-token-taken-for-met",
    reason: "What a token names of another service is said to have arrived here as soon as anybody asks.",
    file: "readers/inboxes.ts",
    find: "if (met) position = laterPosition(position, route.reader.reach.reached);",
    replace: "if (met || entry.position > 0) position = laterPosition(position, route.reader.reach.reached);",
  },
  {
    name: "reach-from-before-the-effects",
    reason: "With its checkpoint a reader of another log stores where its own log stood before it wrote there.",
    file: "readers/batches.ts",
    find: "reached: this.#ownsLog ? page.scanned : (await tx.head()).position,",
    replace: "reached: this.#ownsLog ? page.scanned : rows.reach.reached,",
  },
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
    find: "CREATE FUNCTION append_batch(",
    replace: "CREATE SEQUENCE reserved;\nCREATE FUNCTION append_batch(",
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
    find: "ELSE before = expected END) THEN RETURN; END IF;",
    replace: "ELSE true END) THEN RETURN; END IF;",
    suites: ["tests/contracts/stores/stores.test.ts"],
    beyondSimulator: true,
  },
  {
    name: "lease-by-session",
    reason:
      "A lease is taken to hold as long as its owner's session does, so that nothing is compared where the checkpoint is written: an owner that stood still writes beside the next one (R3).",
    file: "readers/fence.ts",
    find: "return lease?.owner === member && lease.fence === fences.get(slot);",
    replace: 'return lease !== undefined && member !== "" && fences.has(slot);',
    suites: ["tests/contracts/readers/takeover.test.ts"],
    beyondSimulator: true,
  },
  {
    name: "undo-registered-after-the-step",
    reason: "A step is to be undone once it has succeeded: one of which nobody knows what became of it is left as it is.",
    file: "sagas/saga-run.ts",
    find: "    if (undo) this.#undos.push({ step, options });\n",
    replace: '    if (undo && asked?.end?.kind === "done") this.#undos.push({ step, options });\n',
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "timeout-taken-as-failure",
    reason: "A step that does not answer in time is taken for one that did nothing, and takes effect after the saga was undone.",
    file: "sagas/attempts.ts",
    find: 'if (error instanceof OutOfTime) return "unknown";',
    replace: 'if (error instanceof OutOfTime) return "refused";',
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "saga-written-by-two",
    reason:
      "An execution does not say which version of the stream it follows: two that believe that the saga is theirs both go on with it (R3).",
    file: "sagas/writer.ts",
    find: 'const expected: Expected = this.#version === 0 ? "none" : this.#version;',
    replace: 'const expected: Expected = this.#version === 0 ? "none" : "some";',
    suites: ["packages/convergent/src/sagas/writer.test.ts"],
    beyondSimulator: true,
  },
  {
    name: "undone-in-the-order-of-the-steps",
    reason: "What was done first is undone first, while what was built upon it is still there.",
    file: "sagas/saga-run.ts",
    find: "for (const undo of this.#undos.toReversed())",
    replace: "for (const undo of this.#undos)",
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "undo-is-cancelled-with-its-saga",
    reason: "Who cancels a saga cancels its undos, too, and what was done stays.",
    file: "sagas/saga-run.ts",
    find: "(about) => work({ ...about, attempt }), this.#left);",
    replace: "(about) => work({ ...about, attempt }), this.#cancelled);",
    suites: [sagas],
    beyondSimulator: true,
  },
  {
    name: "unknown-step-undone-without-asking",
    reason: "A step of which nobody knows what became of it is undone without its id being voided: it arrives late and stays.",
    file: "sagas/saga-run.ts",
    find: 'if (outcome === "unknown") {',
    replace: 'if (outcome === "unknown" && step === "") {',
    suites: [sagas],
    beyondSimulator: true,
  },
];
