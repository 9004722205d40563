/** How the log says that a person was forgotten: one event, in a stream of its own. Entity names never begin with "$". */

export const forgottenType = "$person.forgotten";

const entity = "$person";

export function forgottenStream(pseudonym: string): string {
  return `${entity}/${pseudonym}`;
}

/** The pseudonym that a stream of `forgottenStream` is about. */
export function forgottenIn(stream: string): string {
  return stream.slice(entity.length + 1);
}
