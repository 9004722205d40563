// A line to a server that a test can cut, and through which no WebSocket gets when it is told so, as through some proxies.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export class Line {
  readonly url: string;
  /** Handshakes that came, whether or not they got through. */
  handshakes = 0;
  /** What servers said over sockets, as bytes of text. */
  said = "";
  isBlocked = false;
  /** Nothing gets through, and nothing is refused. */
  isSilent = false;
  readonly #pairs: Set<readonly [Socket, Socket]>;

  private constructor(port: number, pairs: Set<readonly [Socket, Socket]>) {
    this.url = `http://127.0.0.1:${port}`;
    this.#pairs = pairs;
  }

  static async to(port: number): Promise<Line> {
    const pairs = new Set<readonly [Socket, Socket]>();
    const server = createServer((near) => line.#joined(near, port));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const line = new Line((server.address() as AddressInfo).port, pairs);
    onTestFinished(() => {
      line.cut();
      server.close();
    });
    return line;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  #joined(near: Socket, port: number): void {
    const far = connect(port, "127.0.0.1");
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    let isSocket = false;
    near.on("data", (chunk: Buffer) => {
      if (/\r\nupgrade: websocket/i.test(chunk.toString("latin1"))) {
        isSocket = true;
        this.handshakes++;
        if (this.isBlocked) near.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        if (this.isBlocked) return;
      }
      if (!this.isSilent) far.write(chunk);
    });
    far.on("data", (chunk: Buffer) => {
      if (isSocket) this.said += chunk.toString();
      if (!this.isSilent) near.write(chunk);
    });
    for (const socket of pair) {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  }
}
