/**
 * A WebSocket as the way of a session. Messages are written to the TCP socket as frames that are made once for all receivers; `ws` does the handshake, reads,
 * and answers pings. What is not read lies in the socket's buffer up to its mark; from there on the session holds nothing but the newest states.
 */
import type { Duplex } from "node:stream";
import { live } from "convergent";
import type { WebSocket } from "ws";
import { frameOf, Message } from "./message.ts";
import type { Session, Way } from "./session.ts";

/** Frames that were not understood before the connection is closed. */
const misunderstoodMax = 10;

/** From the last words to the end of a connection whose other side does not answer them. */
const closeMs = 1_000;

export interface SocketOptions {
  readonly socket: WebSocket;
  readonly stream: Duplex;
  readonly session: (way: Way) => Session;
  /** Counts a frame. Throws `too_many_requests`. */
  readonly count: () => void;
  readonly onClosed: () => void;
}

export class SocketConnection implements Way {
  readonly session: Session;
  readonly #socket: WebSocket;
  readonly #stream: Duplex;
  #misunderstood = 0;
  #answered = true;

  constructor({ socket, stream, session, count, onClosed }: SocketOptions) {
    this.#socket = socket;
    this.#stream = stream;
    this.session = session(this);
    stream.on("drain", () => {
      socket.resume();
      this.session.drained();
    });
    socket.on("pong", () => (this.#answered = true));
    socket.on("error", () => undefined); // what was malformed is answered with a close code by the library
    socket.on("close", () => {
      this.session.end();
      onClosed();
    });
    socket.on("message", (data, isBinary) => {
      if (isBinary) return socket.close(live.closeCodes.unsupported, "frames are text");
      void this.#receive((data as Buffer).toString("utf8"), count);
      // Whoever does not read its answers is not read either.
      if (this.isFull) socket.pause();
    });
  }

  get isFull(): boolean {
    return this.#stream.writableNeedDrain;
  }

  send(message: Message, id: number): void {
    this.#write(() => message.frame(id));
  }

  sendAll(messages: readonly Message[], id: number): void {
    this.#write(() => Message.frames(messages, id));
  }

  tell(text: string): void {
    this.#write(() => frameOf(text));
  }

  /** Pings; one that did not answer the ping before is cut off. */
  beat(): void {
    if (!this.#answered) return this.#socket.terminate();
    this.#answered = false;
    this.#socket.ping();
  }

  close(code: number, reason: string): void {
    this.session.end();
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), closeMs).unref();
  }

  // Nothing follows a close frame, whichever side sent it first.
  #write(frame: () => Buffer): void {
    if (this.#socket.readyState === this.#socket.OPEN && this.#stream.writable) this.#stream.write(frame());
  }

  async #receive(text: string, count: () => void): Promise<void> {
    try {
      count();
    } catch {
      return this.close(live.closeCodes.tooMany, "more frames than are allowed to one caller");
    }
    if (!(await this.session.receive(text)) && ++this.#misunderstood > misunderstoodMax)
      this.close(live.closeCodes.policy, "frames that are no messages of this protocol");
  }
}
