/**
 * Every failure this project reports, by code. `retry` says whether the same call may succeed later; `status` is
 * what the gateway answers; `summary` is the sentence the documentation prints. A code that is not here cannot be
 * thrown: `ConvergentError` takes its code from this list.
 */
export const catalogue = {
  already_done: {
    retry: "never",
    status: 409,
    summary: "An append with this id is in the log already; the transaction that staged it again was rolled back.",
  },
  append_in_transaction: {
    retry: "never",
    status: 500,
    summary: "An append inside an open write transaction must be given that transaction.",
  },
  closed: { retry: "later", status: 503, summary: "The store or service was stopped while the call was under way or before it." },
  cursor_invalid: { retry: "never", status: 400, summary: "A page cursor is malformed or belongs to another query or definition version." },
  definition_changed: {
    retry: "never",
    status: 500,
    summary: "A definition differs from the one its stored rows were made by, under the same version.",
  },
  definition_invalid: { retry: "never", status: 500, summary: "A definition or an option contradicts itself or the rest of its service." },
  definitions_outdated: {
    retry: "never",
    status: 503,
    summary: "Another process keeps strong views here that this process does not know; it may not append.",
  },
  disk_full: { retry: "later", status: 503, summary: "The disk is full; nothing of this write was acknowledged." },
  entity_not_found: { retry: "never", status: 404, summary: "The entity has no events, or had none at the version or time asked for." },
  event_unknown: {
    retry: "never",
    status: 500,
    summary: "The log holds an event that the definition does not know, in its type or its version.",
  },
  forbidden: { retry: "never", status: 403, summary: "The caller may not do this, or asks from a place that may not." },
  handler_gave_up: {
    retry: "never",
    status: 500,
    summary: "A handler said that trying its event again would not help; the event is parked.",
  },
  handler_retries: { retry: "later", status: 503, summary: "A handler asked for its event to be tried again until it succeeds." },
  id_voided: { retry: "never", status: 409, summary: "This id was voided: it is refused for ever." },
  idempotency_key_reused: { retry: "never", status: 422, summary: "The id or key was used before with other content." },
  in_progress: { retry: "later", status: 409, summary: "A request with the same key is still running." },
  index_not_declared: { retry: "never", status: 400, summary: "A view was asked by a field that is not one of its declared indexes." },
  invalid_input: { retry: "never", status: 400, summary: "The input does not meet its schema." },
  isolation_unsupported: {
    retry: "never",
    status: 500,
    summary: "An append was staged in a transaction of the caller's whose isolation level is not READ COMMITTED.",
  },
  not_fresh: { retry: "later", status: 503, summary: "The copy did not reach the position asked for in time." },
  not_found: { retry: "never", status: 404, summary: "Nothing is known by this name or address." },
  outcome_unknown: {
    retry: "later",
    status: 503,
    summary: "The reply was lost: the write may or may not have happened. Retry with the same id.",
  },
  payload_too_large: { retry: "never", status: 413, summary: "The request body is larger than the limit." },
  person_forgotten: {
    retry: "never",
    status: 410,
    summary: "The person was forgotten: no data is kept of them any more, also no new data.",
  },
  port_in_use: { retry: "never", status: 500, summary: "Another process listens on this port." },
  protocol_newer: { retry: "never", status: 400, summary: "The gateway speaks a newer protocol than this client." },
  rebuilding: {
    retry: "later",
    status: 503,
    summary: "A newer version of the view is being built, and the older one's rows cannot answer this question.",
  },
  rejected: { retry: "never", status: 409, summary: "The entity refused the command, with its own reason." },
  rolled_back: {
    retry: "never",
    status: 409,
    summary: "The transaction in which the append was staged was rolled back; nothing of it was written.",
  },
  saga_cancelled: { retry: "never", status: 409, summary: "The saga was cancelled: what it did is undone." },
  saga_ended: {
    retry: "never",
    status: 409,
    summary: "The saga is not in a state in which it could do this: it has ended, or it is not parked.",
  },
  saga_exists: { retry: "never", status: 409, summary: "There is a saga with this id and another input." },
  saga_not_found: { retry: "never", status: 404, summary: "There is no saga with this id." },
  saga_step_failed: { retry: "never", status: 500, summary: "A step of a saga failed for good; the script may handle it, or is undone." },
  sql_failed: { retry: "never", status: 500, summary: "A statement of a view with tables of its own failed, or touches what it may not." },
  sql_unsupported: { retry: "never", status: 500, summary: "A view keeps tables of its own, and the store speaks no SQL." },
  seal_broken: { retry: "never", status: 500, summary: "A sealed field was changed, or put where it does not belong." },
  sqlite_unsupported: { retry: "never", status: 500, summary: "This SQLite release is refused: it can corrupt a database in WAL mode." },
  postgres_unsupported: {
    retry: "never",
    status: 500,
    summary: "This PostgreSQL server is refused: it is too old, or set up so that it keeps text differently or may lose writes.",
  },
  store_broken: { retry: "never", status: 500, summary: "The store's file is damaged or is no store of this project." },
  store_in_use: { retry: "never", status: 500, summary: "A process has the store open, and this can only be done while none has." },
  store_mismatch: { retry: "never", status: 500, summary: "The store belongs to another service." },
  store_moved: {
    retry: "later",
    status: 503,
    summary: "The store was moved to another place and takes no more writes; nothing was written.",
  },
  store_newer: { retry: "never", status: 500, summary: "The store was written by a newer release of this project." },
  store_restored: {
    retry: "later",
    status: 503,
    summary: "The database lacks events that this process has seen: it is an older copy, or a standby that was promoted without them.",
  },
  store_unwritable: { retry: "never", status: 500, summary: "The store's file or directory cannot be written." },
  token_epoch: { retry: "never", status: 409, summary: "The token lies past a restore of its store: the write it names is gone." },
  token_invalid: { retry: "never", status: 400, summary: "The token is malformed or was not signed by the store it names." },
  too_many_requests: { retry: "later", status: 429, summary: "The caller asks more often than is allowed; nothing was done." },
  transaction_unsupported: {
    retry: "never",
    status: 500,
    summary: "This append cannot be staged in a transaction of the caller's: the store, or a strong view, does not allow it.",
  },
  transaction_timeout: { retry: "later", status: 503, summary: "A write transaction stayed open past its limit and was rolled back." },
  unauthenticated: { retry: "never", status: 401, summary: "The request has no credentials, or none that are accepted." },
  unavailable: { retry: "later", status: 503, summary: "The store or server cannot be reached; nothing was written." },
  unique_violated: {
    retry: "never",
    status: 500,
    summary: "Two documents of a strong view have the same value of a unique field, so the view cannot be used.",
  },
  upcast_failed: { retry: "never", status: 500, summary: "An upcaster threw on an event that was written in an older version." },
  version_conflict: { retry: "never", status: 412, summary: "The entity is not at the expected version." },
} as const;

/** The code of a failure. */
export type ErrorCode = keyof typeof catalogue;
