/**
 * A message that many are sent: written out once, and framed once for all who gave their watch the same id. Writing one prebuilt frame to 1,000 sockets is a
 * quarter faster than framing a string for each of them.
 */

/** The least a frame's length says in 16 and in 64 bits (RFC 6455, 5.2). */
const length16 = 126;
const length64 = 65_536;

/** Ids for which frames are kept; clients number their watches from 1. */
const framesMax = 8;

export class Message {
  readonly #rest: string;
  readonly #frames = new Map<number, Buffer>();
  /** What was last sent that ended with this one: most receivers lack the same. */
  #joined: { readonly messages: readonly Message[]; readonly id: number; readonly frames: Buffer } | undefined;

  /** Everything behind the id: `"asOf":7,…`. */
  constructor(rest: string) {
    this.#rest = rest;
  }

  /** Of an object without an id. */
  static of(body: object): Message {
    return new Message(JSON.stringify(body).slice(1, -1));
  }

  /** The frames of several messages, behind each other. */
  static frames(messages: readonly Message[], id: number): Buffer {
    const last = messages.at(-1) as Message;
    const joined = last.#joined;
    if (joined?.id === id && joined.messages.length === messages.length && joined.messages.every((each, index) => each === messages[index]))
      return joined.frames;
    const frames = Buffer.concat(messages.map((each) => each.frame(id)));
    last.#joined = { messages, id, frames };
    return frames;
  }

  text(id: number): string {
    return `{"id":${id},${this.#rest}}`;
  }

  /** As one frame of text from a server, which is not masked. */
  frame(id: number): Buffer {
    const known = this.#frames.get(id);
    if (known) return known;
    const frame = frameOf(this.text(id));
    if (this.#frames.size < framesMax) this.#frames.set(id, frame);
    return frame;
  }
}

/** A text as one frame. */
export function frameOf(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const start = size < length16 ? 2 : size < length64 ? 4 : 10;
  const frame = Buffer.allocUnsafe(start + size);
  frame[0] = 0x81; // the last frame of a message, which is text
  if (size < length16) frame[1] = size;
  else if (size < length64) {
    frame[1] = 126;
    frame.writeUInt16BE(size, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(size), 2);
  }
  frame.write(text, start);
  return frame;
}
