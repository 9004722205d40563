/**
 * A WebSocket of Node as the line of a connection. Messages are written to the TCP socket as frames that are made once for all receivers; `ws` does the handshake,
 * reads, and answers pings. What is not read lies in the socket's buffer up to its mark; from there on the session holds nothing but the newest states.
 */
import type { Duplex } from "node:stream";
import { live } from "convergent";
import type { WebSocket } from "ws";
import type { Connection, Line } from "./connection.ts";
import { frameOf, Message } from "./message.ts";

/** From the last words to the end of a connection whose other side does not answer them. */
const closeMs = 1_000;

export class SocketLine implements Line {
  readonly #socket: WebSocket;
  readonly #stream: Duplex;

  constructor(socket: WebSocket, stream: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
  }

  /** Tells the connection what comes. */
  listen(connection: Connection): void {
    const socket = this.#socket;
    this.#stream.on("drain", () => {
      socket.resume();
      connection.session.drained();
    });
    socket.on("pong", () => connection.answered());
    socket.on("error", () => undefined); // what was malformed is answered with a close code by the library
    socket.on("close", () => connection.closed());
    socket.on("message", (data, isBinary) => {
      if (isBinary) return socket.close(live.closeCodes.unsupported, "frames are text");
      void connection.receive((data as Buffer).toString("utf8"));
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

  ping(): boolean {
    this.#socket.ping();
    return true;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), closeMs).unref();
  }

  cut(): void {
    this.#socket.terminate();
  }

  // Nothing follows a close frame, whichever side sent it first.
  #write(frame: () => Buffer): void {
    if (this.#socket.readyState === this.#socket.OPEN && this.#stream.writable) this.#stream.write(frame());
  }
}
