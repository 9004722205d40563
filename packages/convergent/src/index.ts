/** Entry point `convergent`: definitions, the service, the log, and what they answer with. */
export { type Channel } from "./channels/in-process.ts";
export { type Merge, merge } from "./entities/conflict-policy.ts";
export {
  type AnyEntity,
  type Command,
  command,
  type Decide,
  type Emitted,
  type Entity,
  entity,
  type EventOf,
  type OnConflict,
  type SnapshotPolicy,
  reject,
} from "./entities/entity.ts";
export { type EventFixtures, fixtureProblems } from "./entities/fixtures.ts";
export type { CommandCall, CommandOptions, EntityReading } from "./entities/entity-runtime.ts";
export { EntityRuntime } from "./entities/entity-runtime.ts";
export type { SnapshotRefused } from "./entities/snapshots.ts";
export { catalogue, type ErrorCode } from "./errors/catalogue.ts";
export { ConvergentError, isConvergentError } from "./errors/error.ts";
export { type CrashPoint, crashPoints } from "./host/crash-points.ts";
export { type Duration, durationMs } from "./host/duration.ts";
export type {
  CancelSignal,
  Clock,
  Disk,
  DiskFile,
  Host,
  Network,
  NetworkRequest,
  NetworkResponse,
  Processes,
  Random,
  Timer,
  Timers,
} from "./host/host.ts";
export { beginEpoch, type Claim, type Fork } from "./log/epochs.ts";
export { EventCodec, type EventFamily } from "./log/codec.ts";
export type {
  AppendedAll,
  Appended,
  AppendId,
  AppendOutcome,
  AppendPart,
  AppendRequest,
  Expected,
  AppendAllConflict,
  AppendAllOutcome,
} from "./log/append.ts";
export { canonicalJson, digestOf, eventDigest } from "./log/digest.ts";
export { type Envelope, type Metadata, type NewEvent, type StoredEvent, streamOf, toEnvelope } from "./log/event.ts";
export { event, type EventDefinition, type EventForm, type EventOptions, type Upcaster } from "./log/event-definition.ts";
export { Log } from "./log/log.ts";
export type { StagedAppend, UserTransaction } from "./log/staging.ts";
export { serviceInCopy, unfinishedCopyOf } from "./log/unfinished-copy.ts";
export { writeWitness } from "./log/witness.ts";
export { type InputOf, jsonSchemaOf, type OutputOf, type Schema, type Schemas } from "./log/schema.ts";
export type {
  Discard,
  Holdings,
  Lease,
  Member,
  OwnershipReads,
  OwnershipWrites,
  ParkedEvent,
  ParkedKey,
  ParkedRequest,
  ParkedState,
  ParkingReads,
  ParkingWrites,
} from "./log/reader-rows.ts";
export type { Near, Replicas, ReplicaState, ReplicaStatus } from "./log/replicas.ts";
export type { EventFilter, LogPage, LogSource, Seen } from "./log/source.ts";
export type { Checkpoint, Epoch, Head, Identity, ReadTransaction, Store, StoreDriver, WriteTransaction } from "./log/store.ts";
export { mergeList } from "./merge/keyed-list.ts";
export { type FieldChange, type Rule, type Rules, type ThreeWay, threeWay, undecided } from "./merge/three-way.ts";
export { comparePositions, origin, type Position, position } from "./position/position.ts";
export { emptyToken, mergeTokens, parseToken, Token, type TokenEntry } from "./position/token.ts";
export {
  type Accepted,
  accepted,
  type AppendedEvent,
  type ChangedEvent,
  type Conflict,
  type ConflictPolicy,
  type ExpectedState,
  type Outcome,
  type Rejected,
  type UniqueClaim,
} from "./protocol/outcome.ts";
export {
  type ChildSaga,
  hasEnded,
  type SagaAccepted,
  type SagaState,
  type SagaStatus,
  type SagaStep,
  type SagaView,
} from "./protocol/saga.ts";
export type {
  Condition,
  Counted,
  CountedPage,
  FindOptions,
  Found,
  IndexValue,
  Page,
  ParkedAt,
  Reading,
  ReadOptions,
} from "./protocol/reading.ts";
export * as live from "./protocol/live.ts";
export * as wire from "./protocol/wire.ts";
export type { Percentiles } from "./readers/histogram.ts";
export { type Lag, type LagRange, parseLag } from "./readers/lag.ts";
export { Reader } from "./readers/reader.ts";
export type {
  EventName,
  ParkedNotice,
  ReaderFailure,
  ReaderOptions,
  ReaderState,
  ReaderStatus,
  SlotCounts,
} from "./readers/reader-options.ts";
export { type Continued, type ContinueFrom, continueReader, type PresentLog } from "./readers/continuing.ts";
export {
  type AnySaga,
  type Attempt,
  type RetryPolicy,
  type Saga,
  saga,
  type SagaInput,
  type SagaResult,
  type SagaScope,
  type StepOptions,
  type Undoing,
  type WaitForOptions,
} from "./sagas/saga.ts";
export type { SagaDifference } from "./sagas/replaying.ts";
export { replaySagas, type ReplayedSaga, type ReplayOptions } from "./service/saga-replays.ts";
export type { ParkedSaga, SagaRuntime } from "./sagas/saga-runtime.ts";
export type { SagaCallOptions, SagaTellOptions } from "./sagas/telling.ts";
export type { SagaReading } from "./sagas/watching.ts";
export { type ParkedChoice, requestDiscard, requestReplay } from "./readers/parked-requests.ts";
export { type Failed, giveUp, ItemError, retryLater } from "./readers/verdict.ts";
export { type AnyReaction, type PlannedCommand, type Reaction, reaction } from "./reactions/reaction.ts";
export type { Refusal } from "./reactions/reaction-runtime.ts";
export type {
  AnyPart,
  AnyParts,
  Conditions,
  EntityFacade,
  EntityState,
  Facade,
  Facades,
  SagaFacade,
  SagaOperation,
  SqlViewFacade,
  ViewFacade,
} from "./service/facade.ts";
export { readerNames } from "./service/lags.ts";
export {
  type AnyService,
  inProcess,
  type Parked,
  type Running,
  type RunningService,
  runtimeOf,
  type Service,
  service,
  type StartOptions,
  type Stuck,
} from "./service/service.ts";
export type {
  AnyPlanned,
  Hindrance,
  Planned,
  PlanOptions,
  TogetherAccepted,
  TogetherOptions,
  TogetherOutcome,
  TogetherRefused,
} from "./service/together.ts";
export type { ServiceRuntime } from "./service/service-runtime.ts";
export { unfinishedName, type UnfinishedSaga } from "./service/saga-work.ts";
export { type ForgetOptions, type Forgotten, forgetPerson } from "./service/forgetting.ts";
export type { UnknownEvents } from "./service/unknown-events.ts";
export { type Brought, type CopyOptions, StoreCopy } from "./transfer/copy.ts";
export { exportLog, type ExportOptions } from "./transfer/export.ts";
export { importLog, type ImportOutcome, readHeader } from "./transfer/import.ts";
export type { ExportFormat, ExportHeader } from "./transfer/lines.ts";
export type { RangeDigest } from "./transfer/log-digest.ts";
export type { Problem } from "./transfer/problems.ts";
export { differences, type Progress, type RangeDifference, type Verification, type VerifyOptions, verifyStore } from "./transfer/verify.ts";
export { dropRows } from "./views/dropping.ts";
export { cancelRebuild, dropVersions, resetView, resumeRebuild, type ViewVersion, viewVersions } from "./views/operating.ts";
export type { RebuildNews } from "./views/rebuild.ts";
export { type AnyView, type Consistency, type Replaces, type UniqueField, type View, view } from "./views/view.ts";
export type { OrphanedView, ViewVersionStatus } from "./service/view-versions.ts";
export type { CompiledStatement, Sql, SqlParameter, SqlReader } from "./views/sql.ts";
export { type AnyQueries, type AnyQuery, type Query, query, type QueryInput, type QueryResult, type SqlView } from "./views/sql-view.ts";
export type { ViewRuntime } from "./views/view-runtime.ts";
