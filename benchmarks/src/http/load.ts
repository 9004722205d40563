// The load generator: so many kept-alive connections, each with one request under way (pipelining 1), over bare sockets,
// because an HTTP client costs more than the answers it waits for, and on two cores it takes that from the server.
// Understands what it needs of HTTP/1.1: a status line, `content-length` or chunks.
import assert from "node:assert";
import { connect, type Socket } from "node:net";

const headEnd = Buffer.from("\r\n\r\n");
const lastChunk = Buffer.from("\r\n0\r\n\r\n");

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly boxMs: number;
  /** Path, further headers and body of the request with this number. */
  request(index: number): LoadRequest;
}

export interface LoadRequest {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent by POST; without one it is a GET. */
  readonly body?: string;
}

/** Requests answered with 200 per second. Throws on any other answer: a refusal is not throughput. */
export async function load({ port, connections, boxMs, request }: LoadOptions): Promise<number> {
  const end = performance.now() + boxMs;
  let next = 0;
  let counted = 0;
  const drive = async (): Promise<void> => {
    const connection = await Connection.open(port);
    while (performance.now() < end) {
      await connection.exchange(encode(request(next++), port));
      if (performance.now() < end) counted += 1;
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, drive));
  return counted / (boxMs / 1_000);
}

function encode({ path, headers = {}, body }: LoadRequest, port: number): string {
  let head = `${body === undefined ? "GET" : "POST"} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n`;
  if (body !== undefined) head += `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  return `${head}\r\n${body ?? ""}`;
}

/** One kept-alive connection with at most one request under way. */
class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #answer: { resolve: () => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("close", () => this.#answer?.reject(new Error("the server closed a kept-alive connection")));
    socket.on("error", (error) => this.#answer?.reject(error));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: "127.0.0.1" });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Connection(socket);
  }

  /** Sends one request and resolves when its answer is complete. */
  async exchange(request: string): Promise<void> {
    assert(this.#answer === undefined, "pipelining is 1");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#answer = { resolve, reject };
    this.#socket.write(request);
    await promise;
    this.#answer = undefined;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headLength = this.#received.indexOf(headEnd);
    if (headLength < 0) return;
    const head = this.#received.toString("latin1", 0, headLength);
    if (!this.#complete(head, headLength + headEnd.length)) return;
    const answer = this.#received;
    this.#received = Buffer.alloc(0);
    if (head.startsWith("HTTP/1.1 200")) this.#answer?.resolve();
    else this.#answer?.reject(new Error(`the server refused a request: ${answer.toString()}`));
  }

  #complete(head: string, bodyStart: number): boolean {
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined) return this.#received.length >= bodyStart + Number(length);
    assert(/\r\ntransfer-encoding: *chunked/i.test(head), `an answer without content-length and not in chunks: ${head}`);
    return this.#received.subarray(-lastChunk.length).equals(lastChunk);
  }
}
