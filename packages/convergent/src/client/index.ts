/** Entry point `convergent/client`: a client of a gateway, for browsers and Node. */
import { webHost } from "../host-web/host.ts";
import { accepted as acceptedOutcome } from "../protocol/outcome.ts";
import { connectOn, type ConnectOptions } from "./connect.ts";
import type { Client, RemoteAccepted, RemoteOutcome, Served } from "./facade.ts";

export { ConvergentError, isConvergentError } from "../errors/error.ts";
export { type ErrorCode } from "../errors/catalogue.ts";
export { mergeTokens, parseToken, Token } from "../position/token.ts";
export type {
  Accepted,
  AppendedEvent,
  ChangedEvent,
  Conflict,
  ConflictPolicy,
  ExpectedState,
  Outcome,
  Rejected,
  UniqueClaim,
} from "../protocol/outcome.ts";
export type { SagaAccepted, SagaState, SagaStatus, SagaStep, SagaView } from "../protocol/saga.ts";
export type { VisibilityMs } from "../protocol/wire.ts";
export type { ConnectOptions } from "./connect.ts";
export type {
  Client,
  Overlay,
  PollAttempt,
  PollOptions,
  RemoteAccepted,
  RemoteCommandOptions,
  RemoteCountedPage,
  RemoteEndOptions,
  RemoteEntity,
  RemoteEventsOptions,
  RemoteFindOptions,
  RemoteFindWatchOptions,
  RemoteOutcome,
  RemoteCounted,
  RemotePage,
  RemoteReading,
  RemoteReadOptions,
  RemoteSaga,
  RemoteSagaOptions,
  RemoteSqlView,
  RemoteState,
  RemoteStateOptions,
  RemoteTellOptions,
  RemoteView,
  RemoteVoidOptions,
  RemoteWatchOptions,
  Served,
  Shown,
} from "./facade.ts";
export type { Refusal } from "./layers.ts";
export type { FieldChange } from "../merge/three-way.ts";
export { pollIntervals } from "./poller.ts";
export { type Choice, type Choices, chosenInput, type Redo, redo } from "./redo.ts";
export type { HistoryLost, Session } from "./session.ts";
export type { ClientHost } from "./transport.ts";
export type { Watch } from "./watch.ts";

/**
 * A client of the gateway at `url`, typed by the services behind it: `connect<typeof orders>(url)`, or
 * `connect<typeof orders | typeof inventory>(url)`. It remembers what it wrote and sends it with reads of views, so
 * that a user sees their own writes; it repeats what got no answer, under the same id. Nothing is sent before the
 * first call.
 */
export function connect<Service extends Served>(url: string, options: ConnectOptions = {}): Client<Service> {
  return connectOn<Service>(options.host ?? webHost(), url, options);
}

/** The accepted outcome, with what the server measured. Throws `rejected` or `version_conflict` for the others. */
export function accepted<State>(outcome: RemoteOutcome<State>): RemoteAccepted<State> {
  return acceptedOutcome(outcome);
}
