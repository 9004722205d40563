/** How the log says that a person was forgotten: one event, in a stream of its own. Entity names never begin with "$". */

export const forgottenType = "$person.forgotten";

/** What the streams of forgotten persons begin with. */
export const forgottenEntity = "$person";

export function forgottenStream(pseudonym: string): string {
  return `${forgottenEntity}/${pseudonym}`;
}

/** The pseudonym that a stream of `forgottenStream` is about. */
export function forgottenIn(stream: string): string {
  return stream.slice(forgottenEntity.length + 1);
}
