// One connection at a time, over which bytes are sent as they are; what comes back is only looked at for its status.
import { connect, type Socket } from "node:net";

export interface RawRequest {
  readonly bytes: Buffer;
  /** Whether a server that reads by the rules has seen its end: otherwise only the sender's hanging up ends it. */
  readonly complete: boolean;
}

export class Pipe {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends a request and resolves with the first status that comes back, or `cut off` when the connection ends without one. */
  send({ bytes, complete }: RawRequest): Promise<string> {
    const socket = this.#socket && !this.#socket.destroyed ? this.#socket : connect(this.#port, "127.0.0.1");
    this.#socket = undefined;
    return new Promise((resolve) => {
      let received = "";
      const end = (status: string, reusable: boolean): void => {
        socket.removeAllListeners();
        socket.on("error", () => undefined);
        if (reusable) this.#socket = socket;
        else socket.destroy();
        resolve(status);
      };
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1");
        const head = /^HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n/.exec(received);
        if (!head) return;
        // Interim answers are none.
        if (head[1] === "100") received = received.slice(head[0].length);
        else if (isWhole(head[0], received, bytes)) end(head[1] as string, complete && !/\r\nconnection: close/i.test(head[0]));
      });
      for (const event of ["close", "error", "end"])
        socket.on(event, () => end(/^HTTP\/1\.1 (\d{3})/.exec(received)?.[1] ?? "cut off", false));
      socket.write(bytes);
      if (!complete) setTimeout(() => socket.end(), 5);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }
}

function isWhole(head: string, received: string, request: Buffer): boolean {
  if (/^HTTP\/1\.1 (?:204|304)/.test(head) || request.subarray(0, 5).toString() === "HEAD ") return true;
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  return length === undefined ? received.endsWith("\r\n0\r\n\r\n") : received.length >= head.length + Number(length);
}
