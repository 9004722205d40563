/**
 * Connections between clients and processes, as WebSockets are: texts arrive in order or the connection breaks. It is opened to a process chosen at random, ends
 * with it, stands still with it, and whoever is at the other end may hear of that late, by silence alone.
 */
import type { NetworkSocket, SocketListener } from "../host/host.ts";
import type { Faults } from "./faults.ts";
import type { Endpoint } from "./network.ts";
import { type Frame, Pipe } from "./pipe.ts";
import type { SimulatedProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import type { RecordedConnection, WatchRecorder } from "./watch-recorder.ts";

/** A socket as a gateway speaks through it; `TextSocket` of the server package. */
export interface SpokenThrough {
  readonly isFull: boolean;
  send(text: string): void;
  ping(): void;
  close(code: number, reason: string): void;
}

/** What a gateway is told of a socket. */
export interface ToldOfSocket {
  heard(text: string): void;
  drained(): void;
  ponged(): void;
  closed(): void;
}

/** Judges a handshake, as a gateway does: the refusal, or what takes up the socket. */
export type Accepting = (handshake: Request) => Promise<Response | ((socket: SpokenThrough) => ToldOfSocket)>;

export interface ConnectionsOptions {
  readonly faults: Faults;
  /** For nothing but connections: a run without any draws nothing from it. */
  readonly random: SeededRandom;
  readonly now: () => number;
  readonly endpoints: readonly Endpoint[];
  readonly watches: WatchRecorder;
  readonly mark: (name: string) => void;
}

export interface Opening {
  readonly client: SimulatedProcess;
  readonly session: string;
  readonly url: string;
  readonly protocols: readonly string[];
  readonly listener: SocketListener;
}

const latencyMs = 0.5;

/** How often the other side is told that a connection broke; otherwise it hears nothing any more, and must find out. */
const noticed = 0.9;

/** From the last words to the end of a connection whose other side does not answer them. */
const closeMs = 1_000;

/** Texts on their way before their sender is told that there is no room: of a slow receiver, and of any other. */
const window = { slow: 1, usual: 16 };

/** Code of a connection that broke, or never came to be (RFC 6455, 7.1.5). */
const broken = 1006;

export class SimulatedConnections {
  readonly #options: ConnectionsOptions;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  open({ client, session, url, protocols, listener }: Opening): NetworkSocket {
    const { endpoints, random, watches } = this.#options;
    const recorded = watches.connection(session);
    const side = new ClientSide({ client, listener, recorded });
    const link = new Link(this.#options, { side, endpoint: random.pick(endpoints) });
    client.after(link.travelMs(), "handshake arrives", () => link.arrive(url, protocols));
    return side;
  }
}

/** What the client has of it. */
class ClientSide implements NetworkSocket {
  readonly client: SimulatedProcess;
  readonly #listener: SocketListener;
  readonly #recorded: RecordedConnection;
  up: Pipe | undefined;
  #state: "opening" | "open" | "closing" | "closed" = "opening";

  constructor({ client, listener, recorded }: { client: SimulatedProcess; listener: SocketListener; recorded: RecordedConnection }) {
    this.client = client;
    this.#listener = listener;
    this.#recorded = recorded;
  }

  send(text: string): void {
    if (this.#state !== "open") return;
    this.#recorded.asked(text);
    this.up?.send({ kind: "text", text });
  }

  close(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closing";
    this.up?.send({ kind: "close", code: 1000 });
    this.client.after(wasOpen ? closeMs : 0, "close takes too long", () => this.closed(broken));
  }

  opened(process: string): void {
    if (this.#state === "closing" || this.#state === "closed") return this.up?.send({ kind: "close", code: 1000 });
    this.#state = "open";
    this.#recorded.opened(process);
    this.#listener.opened();
  }

  arrived(frame: Frame): void {
    if (frame.kind === "close") {
      if (this.#state !== "closing") this.up?.send({ kind: "close", code: frame.code });
      this.closed(frame.code);
    } else if (frame.kind === "broken") this.closed(broken);
    else if (this.#state !== "open") return;
    else if (frame.kind === "ping") this.up?.send({ kind: "pong" });
    else if (frame.kind === "text") {
      this.#recorded.heard(frame.text);
      this.#listener.heard(frame.text);
    }
  }

  closed(code: number): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#recorded.closed(code);
    this.#listener.closed(code);
  }
}

/** The two ways between a client and a process, and the process's end of them. */
class Link {
  readonly #options: ConnectionsOptions;
  readonly #side: ClientSide;
  readonly #endpoint: Endpoint;
  #pipes: readonly Pipe[] = [];

  constructor(options: ConnectionsOptions, { side, endpoint }: { side: ClientSide; endpoint: Endpoint }) {
    this.#options = options;
    this.#side = side;
    this.#endpoint = endpoint;
  }

  /** The handshake is at the endpoint. */
  arrive(url: string, protocols: readonly string[]): void {
    const { client } = this.#side;
    const { listening } = this.#endpoint;
    if (this.#isCut("requests")) return; // whoever asked gives up by itself
    const refused = (): void => {
      if (!this.#isCut("answers")) client.after(this.travelMs(), "handshake refused", () => this.#side.closed(broken));
    };
    if (!listening?.accept) return refused();
    const { process, accept } = listening;
    process.after(0, "handshake taken", () => {
      const died = process.onDeath(refused);
      const judging = accept(new Request(url, { headers: { "sec-websocket-protocol": protocols.join(", ") } }));
      void process
        .hears(judging, () => 0, "handshake judged")
        .then((judged) => {
          died();
          if (judged instanceof Response) refused();
          else this.#connect(process, judged);
        });
    });
  }

  travelMs(): number {
    const { faults, random } = this.#options;
    if (faults.hits("message delayed", random)) return random.between(50, 3000);
    return random.exponential(latencyMs);
  }

  #connect(process: SimulatedProcess, take: (socket: SpokenThrough) => ToldOfSocket): void {
    const { client } = this.#side;
    const { faults, random, now } = this.#options;
    const isSlow = faults.hits("slow receiver", random);
    const gaveUp = (): void => this.#break(process);
    const shared = { now, random, gaveUp };
    const up = new Pipe({ ...shared, to: process, isCut: () => this.#isCut("requests"), travelMs: () => this.#textMs(process) });
    const travelMs = (): number => this.#textMs(process) + (isSlow && !faults.healed ? random.between(20, 400) : 0);
    const down = new Pipe({ ...shared, to: client, isCut: () => this.#isCut("answers"), travelMs });
    this.#pipes = [up, down];
    this.#side.up = up;
    const leaves = [process.onDeath(() => this.#ended(down)), client.onDeath(() => this.#ended(up))];
    const end = new ProcessEnd({ process, down, window: isSlow ? window.slow : window.usual, mark: this.#options.mark });
    end.onClosed = () => {
      for (const leave of leaves) leave();
    };
    up.onArrival = (frame) => end.arrived(frame);
    down.onArrival = (frame) => (frame.kind === "opened" ? this.#side.opened(process.name) : this.#side.arrived(frame));
    down.onEmpty = () => process.after(0, "drained", () => end.drained());
    down.send({ kind: "opened" });
    end.take(take);
  }

  // One side is gone: what it had sent arrives, and then mostly the news of that.
  #ended(left: Pipe): void {
    for (const pipe of this.#pipes) if (pipe !== left) pipe.break();
    if (this.#options.random.chance(noticed)) left.send({ kind: "broken" });
  }

  // Nothing arrives any more; each side may hear of that, or not.
  #break(process: SimulatedProcess): void {
    const { random } = this.#options;
    for (const pipe of this.#pipes) pipe.break();
    const [up, down] = this.#pipes;
    if (random.chance(noticed)) this.#side.client.after(this.travelMs(), "connection broke", () => down?.onArrival({ kind: "broken" }));
    if (random.chance(noticed)) process.after(this.travelMs(), "connection broke", () => up?.onArrival({ kind: "broken" }));
  }

  #textMs(process: SimulatedProcess): number {
    const { faults, random } = this.#options;
    if (faults.hits("connection cut", random)) this.#break(process);
    return this.travelMs();
  }

  #isCut(way: "requests" | "answers"): boolean {
    const { cut } = this.#endpoint;
    return cut === "both ways" || cut === way;
  }
}

interface ProcessEndOptions {
  readonly process: SimulatedProcess;
  readonly down: Pipe;
  readonly window: number;
  readonly mark: (name: string) => void;
}

/** What the gateway has of it. */
class ProcessEnd implements SpokenThrough {
  readonly #process: SimulatedProcess;
  readonly #down: Pipe;
  readonly #window: number;
  readonly #mark: (name: string) => void;
  onClosed: () => void = () => undefined;
  #told: ToldOfSocket | undefined;
  #isClosed = false;
  #wasFull = false;
  #isDraining = false;

  constructor({ process, down, window: size, mark }: ProcessEndOptions) {
    this.#process = process;
    this.#down = down;
    this.#window = size;
    this.#mark = mark;
  }

  take(take: (socket: SpokenThrough) => ToldOfSocket): void {
    this.#told = take(this);
  }

  get isFull(): boolean {
    const isFull = this.#down.length >= this.#window;
    this.#wasFull ||= isFull;
    return isFull;
  }

  send(text: string): void {
    if (this.#isClosed) return;
    if (this.#isDraining) this.#mark("a slow watcher was told the newest, once there was room");
    this.#down.send({ kind: "text", text });
  }

  ping(): void {
    if (!this.#isClosed) this.#down.send({ kind: "ping" });
  }

  close(code: number): void {
    this.#down.send({ kind: "close", code });
    this.#process.after(closeMs, "close takes too long", () => this.#closed());
  }

  drained(): void {
    if (this.#isClosed || !this.#wasFull) return;
    this.#wasFull = false;
    this.#isDraining = true;
    this.#told?.drained();
    this.#isDraining = false;
  }

  arrived(frame: Frame): void {
    if (this.#isClosed) return;
    if (frame.kind === "text") this.#told?.heard(frame.text);
    else if (frame.kind === "pong") this.#told?.ponged();
    else if (frame.kind === "close" || frame.kind === "broken") {
      if (frame.kind === "close") this.#down.send(frame);
      this.#closed();
    }
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onClosed();
    this.#told?.closed();
  }
}
