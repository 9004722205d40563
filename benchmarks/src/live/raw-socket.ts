// A watcher that costs its machine little: the handshake, masked frames out, and of what comes in the lengths, and the payload when it is asked for.
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

export interface RawSocketOptions {
  readonly port: number;
  readonly path: string;
  readonly protocol: string;
  /** Called for each frame; `payload` reads it. */
  readonly heard: (payload: () => string) => void;
}

/** Opens a WebSocket, and resolves when the server has agreed. */
export function openRaw({ port, path, protocol, heard }: RawSocketOptions): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setNoDelay(true);
    socket.once("error", reject);
    const key = randomBytes(16).toString("base64");
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\nsec-websocket-protocol: ${protocol}\r\n\r\n`,
    );
    let rest: Buffer = Buffer.alloc(0);
    let isOpen = false;
    socket.on("data", (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      if (!isOpen) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!rest.toString("latin1", 0, end).startsWith("HTTP/1.1 101")) return reject(new Error(rest.toString()));
        isOpen = true;
        rest = rest.subarray(end + 4);
        resolve(new RawSocket(socket));
      }
      rest = eachFrame(rest, heard);
    });
  });
}

export class RawSocket {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(text: string): void {
    const body = Buffer.from(text);
    const head =
      body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 0xff]);
    this.#socket.write(Buffer.concat([head, Buffer.alloc(4), body])); // a mask of zeros
  }

  end(): void {
    this.#socket.destroy();
  }
}

/** Answers what is left of an unfinished frame. */
function eachFrame(bytes: Buffer, heard: RawSocketOptions["heard"]): Buffer {
  let at = 0;
  while (bytes.length - at >= 2) {
    const short = (bytes[at + 1] as number) & 0x7f;
    const start = short === 126 ? at + 4 : short === 127 ? at + 10 : at + 2;
    if (bytes.length < start) break;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    if (bytes.length < start + length) break;
    if (((bytes[at] as number) & 0x0f) === 1) heard(() => bytes.toString("utf8", start, start + length));
    at = start + length;
  }
  return at === 0 ? bytes : bytes.subarray(at);
}
