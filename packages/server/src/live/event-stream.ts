/**
 * Server-sent events as the way of a session, for those behind proxies that let no WebSocket through: the watches stand in the address, the
 * messages are those of the socket. Each event's id holds where all watches of the stream go on, so that an `EventSource` resumes by itself.
 */
import { withoutTags } from "./cursor.ts";
import type { Message } from "./message.ts";
import type { Session, Way } from "./session.ts";

/** What may lie here, in bytes, before a slow reader is told the newest only. */
const fullBytes = 65_536;

const encoder = new TextEncoder();

export class EventStream implements Way {
  readonly session: Session;
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #onClosed: () => void;

  constructor(session: (way: Way) => Session, onClosed: () => void) {
    this.#onClosed = onClosed;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.session.drained(),
        cancel: () => this.#end(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: fullBytes }),
    );
    this.session = session(this);
  }

  get isFull(): boolean {
    return (this.#controller?.desiredSize ?? 0) <= 0;
  }

  send(message: Message, id: number): void {
    this.#write(`id: ${resumeText(this.session.cursors())}\ndata: ${message.text(id)}\n\n`);
  }

  tell(text: string): void {
    this.#write(`data: ${text}\n\n`);
  }

  /** A comment, so that nobody in between takes the connection for idle. */
  beat(): void {
    if (!this.isFull) this.#write(":\n\n");
  }

  close(): void {
    this.#controller?.close();
    this.#end();
  }

  #end(): void {
    if (!this.#controller) return;
    this.#controller = undefined;
    this.session.end();
    this.#onClosed();
  }

  #write(text: string): void {
    this.#controller?.enqueue(encoder.encode(text));
  }
}

/**
 * Longest id of an event: it comes back as a header, beside an address of up to 8 KiB, and all headers of a request may have 16 KiB. Past it the longest
 * cursors go without what was sent (a page of 500 documents says 4 KB of that), and those watches are sent their present values again.
 */
const resumeMax = 6_144;

function resumeText(cursors: Readonly<Record<number, string>>): string {
  const left: Record<string, string> = { ...cursors };
  const longest = Object.entries(left).sort(([, one], [, other]) => other.length - one.length);
  for (;;) {
    const text = Buffer.from(JSON.stringify(left)).toString("base64url");
    const next = longest.shift();
    if (text.length <= resumeMax || !next) return text;
    const [id, cursor] = next;
    left[id] = withoutTags(cursor);
  }
}

/** Where each watch goes on, by the `Last-Event-ID` of a request; nothing when it is none of ours. */
export function resumeOf(text: string | null): Readonly<Record<string, string>> {
  if (text === null) return {};
  try {
    const value = JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as unknown;
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter(([, cursor]) => typeof cursor === "string"));
  } catch {
    return {};
  }
}
