/**
 * `POST /entities/{entity}/{id}/{command}`: the hot path. It reads the body, turns headers into options, runs the
 * command and writes the outcome; every rule about the write itself is the toolkit's.
 *
 * Profiled with --cpu-prof, 64 kept-alive connections, Node 24.21, two cores shared with others; µs of CPU a command:
 * Node, Hono and the adapter 31 (all that an empty handler costs), body and checks 6, headers and options 3, making the
 * answer 7, signing its token 20 (an `Hmac` object costs 3 in a loop and 20 among other work). The rest, 40 to 60 on
 * SQLite, is entity, log and store.
 */
import {
  type Accepted,
  catalogue,
  type CommandOptions,
  ConvergentError,
  type FieldChange,
  isConvergentError,
  type Outcome,
  parseToken,
  type ServiceRuntime,
  wire,
} from "convergent";
import { type Grant, granted, type Visit } from "./access.ts";
import { appendedBody } from "./appended-body.ts";
import { readJson } from "./body.ts";
import type { Caller } from "./caller.ts";
import type { CommandResult } from "./command-meter.ts";
import { type ConflictAddress, conflictAnswer } from "./conflict-answer.ts";
import { type Directory, type EntityEntry, meterOf } from "./directory.ts";
import { entityTag, expectedOf } from "./preconditions.ts";
import { type CommandPreferences, commandPreferencesOf } from "./preferences.ts";
import { type HeaderRecord, json, problem } from "./problem.ts";
import { RunningKeys } from "./running-keys.ts";
import { authorOf, keyOf, traceOf } from "./write-headers.ts";

export interface CommandAddress {
  readonly entity: string;
  readonly id: string;
  readonly command: string;
}

/** What came of a command, and what its sender may read of the entity. */
interface Ran {
  readonly outcome: Outcome<unknown>;
  readonly reads: Grant | undefined;
}

export class CommandRoute {
  readonly #directory: Directory;
  readonly #keys = new RunningKeys();

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  async answer(request: Request, address: CommandAddress, visit: Visit): Promise<Response> {
    const entity = this.#directory.entity(address.entity);
    const meter = meterOf(entity, address.command);
    const { clock } = entity.service.log.host;
    const startedAt = clock.elapsed();
    let result: CommandResult = "failed";
    try {
      const preferences = commandPreferencesOf(request.headers);
      const { outcome, reads } = await this.#run(request, { entity, address, preferences, visit });
      result = outcome.kind === "accepted" && outcome.repeated ? "repeated" : outcome.kind;
      return await answerOf(outcome, { entity, id: address.id, judge: visit.judge, reads }, { ...preferences.applied });
    } catch (error) {
      if (isConvergentError(error) && catalogue[error.code].status < 500) result = "invalid";
      throw error;
    } finally {
      meter.record(result, clock.elapsed() - startedAt);
    }
  }

  async #run(
    request: Request,
    asked: { entity: EntityEntry; address: CommandAddress; preferences: CommandPreferences; visit: Visit },
  ): Promise<Ran> {
    const { entity, preferences, visit } = asked;
    const { id, command } = asked.address;
    const { headers } = request;
    const { service } = entity;
    const input = await readJson(request);
    await visit.judge({ kind: "command", name: entity.name, id, command, input });
    // Asked before anything is written: a policy that fails then leaves no doubt about the command.
    const reads = await granted(visit.judge, { kind: "entity", name: entity.name, id });
    const options = {
      ...optionsOf(headers, service, visit.caller),
      ...(preferences.onConflict ? { onConflict: preferences.onConflict } : {}),
    };
    const token = headers.get(wire.headers.token);
    // A write that builds on history which a restore took away is refused; one that builds on newer history waits for
    // nothing, because it is decided on this log's head.
    if (token !== null) await service.log.demand(parseToken(token));
    const run = (): Promise<Outcome<unknown>> => entity.runtime.run({ entityId: id, command, input, options });
    if (options.id === undefined) return { outcome: await run(), reads };
    const key = JSON.stringify([service.name, options.scope ?? options.actor ?? "", options.id]);
    return { outcome: await this.#keys.run(key, run, { ms: preferences.waitMs, host: service.log.host }), reads };
  }
}

function optionsOf(headers: Headers, service: ServiceRuntime, caller: Caller | undefined): CommandOptions {
  const id = keyOf(headers);
  const expected = expectedOf(headers, service.log.epoch.id);
  return {
    ...(id === undefined ? {} : { id }),
    ...(expected === undefined ? {} : { expected }),
    ...authorOf(headers, caller),
    ...traceOf(headers),
  };
}

function answerOf(outcome: Outcome<unknown>, asked: ConflictAddress, headers: HeaderRecord): Response | Promise<Response> {
  switch (outcome.kind) {
    case "accepted":
      return acceptedAnswer(outcome, asked, headers);
    case "rejected":
      return problem(
        new ConvergentError("rejected", outcome.reason, {
          details: { reason: outcome.reason, ...(outcome.unique ? { unique: outcome.unique } : {}) },
        }),
        headers,
      );
    case "conflict":
      return conflictAnswer(outcome, asked, headers);
  }
}

// Who may send a command may yet not read the entity: his answer lacks what a read would not have shown him.
function acceptedAnswer(outcome: Accepted<unknown>, { entity, reads }: ConflictAddress, headers: HeaderRecord): Response {
  const shown = reads !== undefined && reads.shows?.(outcome.state) !== false;
  const token = String(outcome.token);
  const visibilityMs = entity.pace.visibilityMs;
  const body: wire.CommandBody = {
    ...(shown ? { state: outcome.state } : {}),
    version: outcome.version,
    events: outcome.events.map(appendedBody),
    token,
    ...(outcome.pending.length > 0 ? { pending: outcome.pending } : {}),
    ...(outcome.repeated ? { repeated: true } : {}),
    ...(outcome.merged ? { merged: shown ? outcome.merged : outcome.merged.map(ownSide) } : {}),
    ...(visibilityMs ? { visibilityMs } : {}),
  };
  headers["content-type"] = "application/json";
  if (outcome.version > 0) headers["etag"] = entityTag(entity.service.log.epoch.id, outcome.version);
  if (token !== "") headers[wire.headers.token] = token;
  return json(200, body, headers);
}

function ownSide({ field, conflicting, ...sides }: FieldChange): FieldChange {
  return { field, ...("ours" in sides ? { ours: sides.ours } : {}), conflicting };
}
