/**
 * Where a watch goes on: the history and the version of the definition that it saw, the position, and digests of what was sent, so that
 * a gateway that never met the watcher knows what he has. Cursors are not signed: a forged one shows its sender too little of what he may see.
 */
import { hash } from "node:crypto";

export interface Cursor {
  /** Of the target: its kind, name, key or query. */
  readonly target: string;
  readonly epoch: string;
  /** Version of the view's definition; 0 of what has none. */
  readonly version: number;
  readonly position: number;
  /** One for each value that was sent; `""` for none. */
  readonly tags: readonly string[];
}

/** Characters of a tag: 48 bits, so that two values of one page have the same tag once in 10^9 pages of 500. */
const tagLength = 8;

/** A digest of a value as it is sent. */
export function tagOf(text: string): string {
  return hash("sha256", text, "base64url").slice(0, tagLength);
}

export function cursorText({ target, epoch, version, position, tags }: Cursor): string {
  return `${target}.${epoch}.${version}.${position}.${tags.join("")}`;
}

/** The cursor of somebody who has nothing, at the same position. */
export function withoutTags(cursor: string): string {
  return cursor.slice(0, cursor.lastIndexOf(".") + 1);
}

/** `undefined` for what is no cursor. */
export function parseCursor(text: string): Cursor | undefined {
  const match = /^([\w-]{1,16})\.([\w-]{1,64})\.(\d{1,9})\.(\d{1,15})\.([\w-]*)$/.exec(text);
  if (!match) return undefined;
  const [, target = "", epoch = "", version, position, tags = ""] = match;
  if (tags.length % tagLength !== 0) return undefined;
  return {
    target,
    epoch,
    version: Number(version),
    position: Number(position),
    tags: Array.from({ length: tags.length / tagLength }, (_, index) => tags.slice(index * tagLength, (index + 1) * tagLength)),
  };
}
