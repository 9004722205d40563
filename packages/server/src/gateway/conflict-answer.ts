/**
 * The answer to a command whose expectation was not met: 412 with what the entity was and is. A caller who may send a
 * command may yet not read the entity: of state and events, the answer holds what a read would have shown him.
 */
import { type Conflict, ConvergentError, type wire } from "convergent";
import { type Grant, granted, type Judge } from "./access.ts";
import { changedBody } from "./appended-body.ts";
import type { EntityEntry } from "./directory.ts";
import { entityTag, versionNever } from "./preconditions.ts";
import { type HeaderRecord, problem } from "./problem.ts";

export interface ConflictAddress {
  readonly entity: EntityEntry;
  readonly id: string;
  readonly judge: Judge;
  /** What the caller may read of the entity. */
  readonly reads: Grant | undefined;
}

export async function conflictAnswer(conflict: Conflict<unknown>, address: ConflictAddress, headers: HeaderRecord): Promise<Response> {
  const { entity } = address;
  const { version, expected } = conflict;
  const at = version === 0 ? "does not exist" : `is at version ${version}`;
  const details: wire.ConflictBody = {
    version,
    // A tag of another history says nothing about a version of this one.
    expected: expected === versionNever ? undefined : expected,
    ...(await shownOf(conflict, address)),
  };
  if (version > 0) headers["etag"] = entityTag(entity.service.log.epoch.id, version);
  const message = `the ${entity.name} ${at}, which is not what the request expected; nothing was written`;
  return problem(new ConvergentError("version_conflict", message, { details: { ...details } }), headers);
}

const nothing = { changed: [], fields: [], mergeable: false };

async function shownOf(
  conflict: Conflict<unknown>,
  { entity, id, judge, reads }: ConflictAddress,
): Promise<Omit<wire.ConflictBody, "version" | "expected">> {
  const { state, changed, more, fields, mergeable } = conflict;
  if (!reads || reads.shows?.(state) === false) return nothing;
  if (conflict.base !== undefined && reads.shows?.(conflict.base) === false) return { ...nothing, state };
  const follows = await granted(judge, { kind: "events", name: entity.name, id });
  const events =
    follows && follows.shows?.(state) !== false ? { changed: changed.map(changedBody), ...(more ? { more } : {}) } : { changed: [] };
  return { state, ...("base" in conflict ? { base: conflict.base } : {}), ...events, fields, mergeable };
}
