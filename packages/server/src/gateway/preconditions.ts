/**
 * Entity tags and the conditions on them. An entity's tag is `"<epoch>.<version>"`: a version alone would match again
 * after a restore, when another history has reached the same number.
 */
import { type ConvergentError, type Expected, wire } from "convergent";
import { invalidInput } from "./problem.ts";

/** A version that no entity reaches: what a tag of another history expects. */
export const versionNever: number = Number.MAX_SAFE_INTEGER;

/** The tag of an entity at a version. */
export function entityTag(epoch: string, version: number): string {
  return `"${epoch}.${version}"`;
}

/** What the caller expects the entity to be; `undefined` when it says nothing. Throws `invalid_input`. */
export function expectedOf(headers: Headers, epoch: string): Expected | undefined {
  const match = headers.get(wire.headers.ifMatch);
  const noneMatch = headers.get(wire.headers.ifNoneMatch);
  if (match === null && noneMatch === null) return undefined;
  if (match !== null && noneMatch !== null) throw unusable("If-Match and If-None-Match contradict each other; send one of them");
  if (noneMatch !== null) {
    if (noneMatch.trim() === "*") return "none";
    throw unusable('on a command, If-None-Match knows "*" only: the entity must not exist');
  }
  const tag = (match as string).trim();
  if (tag === "*") return "some";
  if (!/^(?:W\/)?"[^"]*"$/.test(tag))
    throw unusable(`${tag.slice(0, 80)} is not one entity tag; send the ETag of an earlier answer, quotes included, or *`);
  const ours = /^"([^".]+)\.(\d{1,15})"$/.exec(tag);
  return ours && ours[1] === epoch ? Number(ours[2]) : versionNever;
}

/** Whether a read's `If-None-Match` names this tag: weakly compared, as RFC 9110 wants it for reads. */
export function matchesTag(headers: Headers, tag: string): boolean {
  const header = headers.get(wire.headers.ifNoneMatch);
  if (header === null) return false;
  const bare = tag.replace(/^W\//, "");
  return header.trim() === "*" || header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === bare);
}

function unusable(reason: string): ConvergentError {
  return invalidInput(reason, [{ path: "", reason }]);
}
