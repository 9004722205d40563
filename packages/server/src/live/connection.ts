/**
 * One connection of `/live`, whatever socket it is made of: what comes is counted and handed to its session, who does not answer is cut off, and who does
 * not keep to the protocol is let go. What a socket is, its line knows.
 */
import { live } from "convergent";
import type { Session, Way } from "./session.ts";

/** A frame from a client: a watch with the cursor of a page of 500 documents and a token. */
export const frameBytesMax = 65_536;

/** Frames that were not understood before the connection is closed. */
const misunderstoodMax = 10;

/** A socket, as a connection speaks through it. */
export interface Line extends Way {
  /** Asks whether the other side lives; `false` when nobody can be asked, or need be. */
  ping(): boolean;
  close(code: number, reason: string): void;
  /** Ends it without waiting for the other side, which does not answer. */
  cut(): void;
}

export interface ConnectionOptions {
  readonly line: Line;
  readonly session: (way: Way) => Session;
  /** Counts a frame. Throws `too_many_requests`. */
  readonly count: () => void;
  readonly onClosed: () => void;
}

export class Connection {
  readonly session: Session;
  readonly #line: Line;
  readonly #count: () => void;
  readonly #onClosed: () => void;
  #misunderstood = 0;
  #answered = true;
  #isClosed = false;

  constructor({ line, session, count, onClosed }: ConnectionOptions) {
    this.#line = line;
    this.#count = count;
    this.#onClosed = onClosed;
    this.session = session(line);
  }

  /** A frame came. */
  async receive(text: string): Promise<void> {
    try {
      this.#count();
    } catch {
      return this.close(live.closeCodes.tooMany, "more frames than are allowed to one caller");
    }
    if (!(await this.session.receive(text)) && ++this.#misunderstood > misunderstoodMax)
      this.close(live.closeCodes.policy, "frames that are no messages of this protocol");
  }

  /** The other side has answered a ping. */
  answered(): void {
    this.#answered = true;
  }

  /** Pings; one that did not answer the ping before is cut off. */
  beat(): void {
    if (!this.#answered) return this.#line.cut();
    this.#answered = !this.#line.ping();
  }

  close(code: number, reason: string): void {
    this.session.end();
    this.#line.close(code, reason);
  }

  /** The socket is no more. */
  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.session.end();
    this.#onClosed();
  }
}
