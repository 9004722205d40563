/**
 * Sagas over HTTP: started, looked at, told something, and seen to when they are parked. Whatever is asked of one is answered with 202
 * once it is durable; how it goes on is read at its address, at a pace or by answers that are held back until there is news.
 */
import {
  catalogue,
  ConvergentError,
  hasEnded,
  type Host,
  isConvergentError,
  parseToken,
  type SagaAccepted,
  type SagaReading,
  type SagaStep,
  type SagaTellOptions,
  wire,
} from "convergent";
import type { Grant, Judge, Visit } from "./access.ts";
import { readJson } from "./body.ts";
import type { CommandResult } from "./command-meter.ts";
import type { SagaAction, SagaEntry } from "./directory.ts";
import { entityTag, matchesTag } from "./preconditions.ts";
import { holdOf } from "./preferences.ts";
import { invalidInput, json, retryHeaders } from "./problem.ts";
import { SagaNews } from "./saga-news.ts";
import { authorOf, keyOf, traceOf } from "./write-headers.ts";

export interface SagaAddress {
  readonly saga: SagaEntry;
  readonly id: string;
}

/** How long a start waits for a store that does not answer: the saga goes on trying, so its caller is told that nobody knows. */
const startLimitMs = 8_000;

const nameLengthMax = 256;
const reasonLengthMax = 1_000;

/** `POST /sagas/{saga}` and `POST /sagas/{saga}/{id}` */
export async function startSaga(request: Request, address: { saga: SagaEntry; id?: string }, visit: Visit): Promise<Response> {
  const { saga } = address;
  const accepted = await metered(saga, "start", async () => {
    const { headers } = request;
    const { host } = saga.service.log;
    const key = address.id === undefined ? keyOf(headers) : undefined;
    const id = usableId(address.id ?? key ?? host.random.id());
    const input = await readJson(request);
    await visit.judge({ kind: "saga-start", name: saga.name, id, input });
    await requireHistory(request, saga);
    const { scope: _, ...author } = authorOf(headers, visit.caller);
    const starting = saga.runtime.begin(id, input, { ...author, ...traceOf(headers) });
    return durable(starting, { id, host }).catch((error: unknown) => {
      throw key !== undefined && isConvergentError(error, "saga_exists") ? keyReused(key) : error;
    });
  });
  return acceptedAnswer(saga, accepted);
}

/** `POST /sagas/{saga}/{id}/signals/{signal}` */
export async function signalSaga(request: Request, address: SagaAddress & { readonly signal: string }, visit: Visit): Promise<Response> {
  const { saga, id, signal } = address;
  const accepted = await metered(saga, "signal", async () => {
    if (signal.length > nameLengthMax || !isText(signal))
      throw invalid("", `the name of a signal has 1 to ${nameLengthMax} characters of well-formed text`);
    const data = await readJson(request, {});
    await visit.judge({ kind: "saga-signal", name: saga.name, id, signal, data });
    await requireHistory(request, saga);
    return saga.runtime.signal(id, signal, data, optionsOf(request, visit));
  });
  return acceptedAnswer(saga, accepted);
}

/** `POST /sagas/{saga}/{id}/cancel` */
export async function cancelSaga(request: Request, { saga, id }: SagaAddress, visit: Visit): Promise<Response> {
  const accepted = await metered(saga, "cancel", async () => {
    const reason = reasonOf(await readJson(request)) ?? "no reason given";
    await visit.judge({ kind: "saga-cancel", name: saga.name, id, reason });
    await requireHistory(request, saga);
    return saga.runtime.cancel(id, reason, optionsOf(request, visit));
  });
  return acceptedAnswer(saga, accepted);
}

/** `POST /sagas/{saga}/{id}/retry` and `POST /sagas/{saga}/{id}/resolve` */
export async function operateSaga(
  request: Request,
  { saga, id, action }: SagaAddress & { readonly action: "retry" | "resolve" },
  visit: Visit,
): Promise<Response> {
  const accepted = await metered(saga, action, async () => {
    const reason = reasonOf(await readJson(request));
    if (reason === undefined) throw invalid("reason", 'an operator says why: { "reason": "the desk is back" }');
    await visit.judge({ kind: "saga-operate", name: saga.name, id, action, reason });
    await requireHistory(request, saga);
    const { actor = "", ...options } = optionsOf(request, visit);
    return saga.runtime.resume(id, { resolved: action === "resolve", reason, by: actor, ...options });
  });
  return acceptedAnswer(saga, accepted);
}

/** `GET /sagas/{saga}/{id}` */
export async function readSaga(request: Request, { saga, id }: SagaAddress, judge: Judge): Promise<Response> {
  const grant = await judge({ kind: "saga-read", name: saga.name, id });
  await requireHistory(request, saga);
  const { headers } = request;
  const { log } = saga.service;
  const { waitMs, applied } = holdOf(headers);
  const tagOf = ({ version }: SagaReading): string => entityTag(log.epoch.id, version);
  // Without a tag that the caller knows, only the end is news.
  const isNews = (reading: SagaReading): boolean => headers.has(wire.headers.ifNoneMatch) && !matchesTag(headers, tagOf(reading));
  let reading = visible(await saga.runtime.read(id), saga, grant);
  if (waitMs > 0 && !isNews(reading) && !hasEnded(reading.state.status)) {
    const news = new SagaNews(saga.runtime, { timers: log.host.timers, signal: saga.ending.waitOf(request) });
    reading = visible((await news.next(id, { isNews, waitMs })) ?? reading, saga, grant);
  }
  saga.pace.learn(reading);
  const etag = tagOf(reading);
  const answered = {
    ...applied,
    ...(hasEnded(reading.state.status) ? {} : retryHeaders(saga.pace.nextLookMs(reading))),
    "cache-control": "no-cache",
    etag,
    [wire.headers.token]: String(reading.token),
  };
  if (matchesTag(headers, etag)) return new Response(null, { status: 304, headers: answered });
  return json(200, sagaBodyOf(reading), answered);
}

function acceptedAnswer(saga: SagaEntry, { id, token, repeated }: SagaAccepted): Response {
  const body: wire.SagaAcceptedBody = { id, token: String(token), repeated };
  return json(202, body, {
    ...retryHeaders(saga.pace.firstLookMs),
    location: `/sagas/${encodeURIComponent(saga.name)}/${encodeURIComponent(id)}`,
    [wire.headers.token]: String(token),
  });
}

/** A saga on the wire. */
export function sagaBodyOf({ id, state, version, token }: SagaReading): wire.SagaBody {
  const { steps, startedAt, endedAt, ...rest } = state;
  return {
    id,
    ...rest,
    steps: steps.map(stepBody),
    startedAt: timeText(startedAt),
    ...(endedAt === undefined ? {} : { endedAt: timeText(endedAt) }),
    version,
    token: String(token),
  };
}

function stepBody({ begunAt, endedAt, dueAt, ...rest }: SagaStep): wire.SagaStepBody {
  return {
    ...rest,
    begunAt: timeText(begunAt),
    ...(endedAt === undefined ? {} : { endedAt: timeText(endedAt) }),
    ...(dueAt === undefined ? {} : { dueAt: timeText(dueAt) }),
  };
}

// A wait may be declared to end when the calendar has no year for it.
function timeText(at: number): string {
  return new Date(Math.min(at, 8_640_000_000_000_000)).toISOString();
}

/** What comes of a start, or `outcome_unknown` while the store keeps everybody waiting. */
async function durable(starting: Promise<SagaAccepted>, { id, host }: { id: string; host: Host }): Promise<SagaAccepted> {
  return new Promise((resolve, reject) => {
    const timer = host.timers.after(startLimitMs, () =>
      reject(
        new ConvergentError(
          "outcome_unknown",
          `the store did not answer within ${startLimitMs} ms; start the saga ${id} again under this id`,
          {
            details: { id },
          },
        ),
      ),
    );
    starting.then(resolve, reject).finally(() => timer.cancel());
  });
}

async function metered(saga: SagaEntry, action: SagaAction, run: () => Promise<SagaAccepted>): Promise<SagaAccepted> {
  const { clock } = saga.service.log.host;
  const startedAt = clock.elapsed();
  let result: CommandResult = "failed";
  try {
    const accepted = await run();
    result = accepted.repeated ? "repeated" : "accepted";
    return accepted;
  } catch (error) {
    if (isConvergentError(error) && catalogue[error.code].status < 500) result = isRefusal(error) ? "rejected" : "invalid";
    throw error;
  } finally {
    saga.meters.get(action)?.record(result, clock.elapsed() - startedAt);
  }
}

function isRefusal({ code }: ConvergentError): boolean {
  return code === "saga_ended" || code === "saga_exists" || code === "version_conflict";
}

function optionsOf({ headers }: Request, { caller }: Visit): SagaTellOptions {
  const id = keyOf(headers);
  return { ...(id === undefined ? {} : { id }), ...authorOf(headers, caller), ...traceOf(headers) };
}

// What builds on history that a restore took away is refused. Newer history is waited for by nobody: a saga is read, and told, at the head of its log.
async function requireHistory({ headers }: Request, { service }: SagaEntry): Promise<void> {
  const token = headers.get(wire.headers.token);
  if (token !== null) await service.log.demand(parseToken(token));
}

// To who may not see it, a saga that is there is not there, in the very words.
function visible(reading: SagaReading, saga: SagaEntry, { shows }: Grant): SagaReading {
  if (!shows || shows(reading.state)) return reading;
  throw noSaga(saga, reading.id);
}

/** As the service itself says it of a saga that is not there. */
export function noSaga({ name }: SagaEntry, id: string): ConvergentError {
  return new ConvergentError("saga_not_found", `there is no ${name} "${id}"`, { details: { id } });
}

/** Ids that no address can end with would be started and never found again. */
function usableId(id: string): string {
  if (id === "." || id === "..") throw invalid("", `"${id}" is no id for a saga: no address can hold it`);
  return id;
}

function reasonOf(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw invalid("", "the body is an object with a reason, or empty");
  const { reason } = body as { readonly reason?: unknown };
  if (reason === undefined) return undefined;
  if (typeof reason === "string" && reason.trim() !== "" && reason.length <= reasonLengthMax && isText(reason)) return reason;
  throw invalid("reason", `a reason is text of 1 to ${reasonLengthMax} characters`);
}

function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\u0000");
}

function invalid(path: string, reason: string): ConvergentError {
  return invalidInput(path === "" ? reason : `${path}: ${reason}`, [{ path, reason }]);
}

function keyReused(key: string): ConvergentError {
  return new ConvergentError(
    "idempotency_key_reused",
    `the key ${key} started a saga with another input before; use a new key for a new saga`,
    { details: { id: key } },
  );
}
