/**
 * A proxy between a client and a server on this machine, on which a network goes wrong: this kernel has no netem. It knows
 * bytes only. What it does to connections, open and new, is set at any time; a connection that lost bytes gets no more of
 * them, so that nobody is ever given a stream with a hole in it.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * - `pass`: everything gets through; `delay`: so many milliseconds later.
 * - `drop`: nothing gets through in either direction, and connections stay open.
 * - `half-open`: the server's side is closed, and the client is not told.
 * - `reset`: connections are reset, and new ones at once.
 * - `drop replies`: requests get through; instead of the reply comes a reset.
 */
export type Way =
  | { readonly kind: "pass" | "drop" | "half-open" | "reset" | "drop replies" }
  | { readonly kind: "delay"; readonly ms: number };

export class TcpProxy {
  /** The server's port; connections that are open keep theirs. */
  target: number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #way: Way = { kind: "pass" };

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    server.on("connection", (client) => this.#take(client));
  }

  /** Opens one on a free port of this machine. */
  static async open(target: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TcpProxy(server, target);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get way(): Way {
    return this.#way;
  }

  set way(way: Way) {
    this.#way = way;
    for (const connection of this.#connections) connection.turn(way);
  }

  /** Ends every connection, and listens no more. */
  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.#connections) connection.end();
    await closed;
  }

  #take(client: Socket): void {
    const connection = new Connection(client, this.target, () => this.#way);
    this.#connections.add(connection);
    client.once("close", () => this.#connections.delete(connection));
    connection.turn(this.#way);
  }
}

class Connection {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #way: () => Way;
  /** Bytes were lost: nothing passes here again. */
  #holed = false;

  constructor(client: Socket, target: number, way: () => Way) {
    this.#client = client;
    this.#way = way;
    this.#server = connect({ port: target, host: "127.0.0.1", noDelay: true });
    const [up, down] = [new Line(this.#server), new Line(client)];
    client.on("data", (bytes: Buffer) => this.#pass(up, bytes, () => false));
    this.#server.on("data", (bytes: Buffer) => this.#pass(down, bytes, () => this.#isReplyLost()));
    client.on("end", () => this.#isSilent() || up.end());
    this.#server.on("end", () => this.#isSilent() || down.end());
    client.on("error", () => this.#server.destroy());
    this.#server.on("error", () => this.#isSilent() || client.resetAndDestroy());
    client.on("close", () => this.#server.destroy());
  }

  turn(way: Way): void {
    if (way.kind === "reset") this.#client.resetAndDestroy();
    if (way.kind !== "half-open") return;
    this.#holed = true;
    this.#server.destroy();
  }

  end(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  #pass(line: Line, bytes: Buffer, isLost: () => boolean): void {
    const way = this.#way();
    if (way.kind === "drop") this.#holed = true;
    if (this.#holed || isLost()) return;
    line.send(bytes, way.kind === "delay" ? way.ms : 0);
  }

  #isReplyLost(): boolean {
    if (this.#way().kind !== "drop replies") return false;
    this.#holed = true;
    this.#client.resetAndDestroy();
    return true;
  }

  #isSilent(): boolean {
    return this.#holed || this.#way().kind === "drop";
  }
}

/** One direction: what is sent later comes later, also when it is delayed less. */
class Line {
  readonly #to: Socket;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(to: Socket) {
    this.#to = to;
  }

  send(bytes: Buffer, ms: number): void {
    if (ms === 0 && this.#waiting === 0) this.#to.write(bytes);
    else this.#after(ms, () => this.#to.write(bytes));
  }

  end(): void {
    if (this.#waiting === 0) this.#to.end();
    else this.#after(0, () => this.#to.end());
  }

  #after(ms: number, run: () => void): void {
    this.#waiting++;
    const due = new Promise((resolve) => setTimeout(resolve, ms));
    this.#last = Promise.all([this.#last, due]).then(() => {
      this.#waiting--;
      if (!this.#to.destroyed) run();
    });
  }
}
