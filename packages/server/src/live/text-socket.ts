/**
 * A socket of texts as the line of a connection: a runtime's own WebSocket, where there is no server of Node to take one over from. The runtime does the
 * handshake and the frames; what is left is what goes out and what comes in.
 */
import { live } from "convergent";
import { type Connection, frameBytesMax, type Line } from "./connection.ts";
import type { Message } from "./message.ts";

/** A WebSocket of any runtime whose handshake is done, as `/live` speaks through it. */
export interface TextSocket {
  /** What was sent lies here instead of on its way, until `drained` is called; nothing but the newest state of each watch waits meanwhile. Absent: never. */
  readonly isFull?: boolean;
  /** Sends a text, or drops it when the socket is closing. */
  send(text: string): void;
  /** Pings, for a runtime that does not find out by itself whether the other side lives; `ponged` is to be called with the answer. */
  ping?(): void;
  /** Ends it, after what was sent. `closed` is to be called all the same, also when the other side never answers. */
  close(code: number, reason: string): void;
}

/** What a connection of `/live` is told of its socket. */
export interface TextConnection {
  /** A text came. */
  heard(text: string): void;
  /** There is room again. */
  drained(): void;
  /** A ping was answered. */
  ponged(): void;
  /** It was closed, or broke; nothing may be told after that. */
  closed(): void;
}

/** Frames that wait to be read while nobody reads the answers to earlier ones. */
const heldMax = 100;

export class TextLine implements Line {
  readonly #socket: TextSocket;
  #isClosing = false;

  constructor(socket: TextSocket) {
    this.#socket = socket;
  }

  /** What tells the connection of what comes. */
  listenerOf(connection: Connection): TextConnection {
    let held: string[] = [];
    const heard = (text: string): void => {
      if (this.#isClosing) return;
      if (isTooLong(text)) return connection.close(live.closeCodes.tooBig, `a frame has at most ${frameBytesMax} bytes`);
      // Whoever does not read its answers is not read either.
      if (!this.isFull) void connection.receive(text);
      else if (held.push(text) > heldMax) connection.close(live.closeCodes.tooMany, "its answers are not read");
    };
    return {
      heard,
      drained: () => {
        connection.session.drained();
        for (const text of held.splice(0)) heard(text);
      },
      ponged: () => connection.answered(),
      closed: () => {
        this.#isClosing = true;
        held = [];
        connection.closed();
      },
    };
  }

  get isFull(): boolean {
    return this.#socket.isFull ?? false;
  }

  send(message: Message, id: number): void {
    this.tell(message.text(id));
  }

  tell(text: string): void {
    if (!this.#isClosing) this.#socket.send(text);
  }

  ping(): boolean {
    if (!this.#socket.ping || this.#isClosing) return false;
    this.#socket.ping();
    return true;
  }

  close(code: number, reason: string): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#socket.close(code, reason);
  }

  cut(): void {
    this.close(live.closeCodes.goingAway, "nobody answers there");
  }
}

function isTooLong(text: string): boolean {
  return text.length > frameBytesMax || (3 * text.length > frameBytesMax && Buffer.byteLength(text) > frameBytesMax);
}
