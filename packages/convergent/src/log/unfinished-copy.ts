/**
 * The name that a store goes by while it is being copied into. No service has such a name, so none opens it and appends to a
 * part of its log; the last act of the copy gives it the service's own.
 */
const mark = " (unfinished copy)";

/** The name of the store of a service that is being copied into. */
export function unfinishedCopyOf(service: string): string {
  return service + mark;
}

/** The service whose store will be where this is the present owner; `undefined` when that is no unfinished copy. */
export function serviceInCopy(owner: string): string | undefined {
  return owner.endsWith(mark) ? owner.slice(0, -mark.length) : undefined;
}

/** How messages go on that say why a store is not the one of `name`. */
export function ownerSentence(place: string, owner: string, name: string): string {
  return serviceInCopy(owner) === name
    ? `${place} is an unfinished copy of the store of "${name}"; run the same convergent copy again, which goes on where it stopped`
    : `${place} belongs to the service "${owner}", not to "${name}"`;
}
