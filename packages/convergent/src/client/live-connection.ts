/**
 * One WebSocket to `/live` for all watches of a client: opened with the first watch, closed after the last one, and opened again when it breaks, each watch going on
 * where it was. Where no socket gets through (a proxy, a server of an older release) it says so, and goes on trying now and then.
 */
import { type Backoff, backoffMs } from "../host/backoff.ts";
import type { ClientHost } from "./transport.ts";
import type { NetworkSocket, Timer } from "../host/host.ts";
import { bearerPrefix, closeCodes, subprotocol, type Target, type Told } from "../protocol/live.ts";

/** What a watch asks, but for the id that the connection gives it. */
export type Terms = Target & { readonly after?: string; readonly from?: string };

/** What is heard of one watch. */
export interface WatchListener {
  /** How it is asked for, now. */
  terms(): Terms;
  told(message: Told): void;
}

export interface LiveConnectionOptions {
  readonly host: ClientHost;
  /** Address of `/live`. */
  readonly url: string;
  /** The headers of requests as they would be sent now; of these only a bearer token can go with a socket. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
  /** Headers that every request carries and a socket need not. */
  readonly spared: readonly string[];
}

/** Jittered, so that a thousand clients of a server that stops do not come back at once. */
const reconnecting: Backoff = { firstMs: 200, maxMs: 10_000, factor: 2 };

/** Attempts that never opened before watches are told to go another way. */
const attemptsMax = 2;

/** Whether a socket gets through by now is tried ever more rarely. */
const knocking: Backoff = { firstMs: 2_000, maxMs: 60_000, factor: 2 };

/** A handshake that takes longer is given up. */
const openMs = 5_000;

/** After the last watch: somebody may come again at once, as a page that is drawn twice does. */
const lingerMs = 1_000;

/** Silence after which it is asked whether the other side is there, and how long that may take. */
const silentMs = 30_000;
const pongMs = 10_000;

export class LiveConnection {
  readonly #options: LiveConnectionOptions;
  readonly #watches = new Map<number, WatchListener>();
  readonly #changed = new Set<() => void>();
  #socket: NetworkSocket | undefined;
  #isOpen = false;
  #wasOpen = false;
  /** Whether anything was said since it opened: some proxies open a connection and let go of it. */
  #wasHeard = false;
  /** Attempts in a row over which nothing was heard. */
  #attempts = 0;
  /** Times in a row that it was closed for asking too much. */
  #excesses = 0;
  #lastId = 0;
  #isOpening = false;
  #opening: Timer | undefined;
  #lingering: Timer | undefined;
  #silence: Timer | undefined;
  #heardAt = 0;

  constructor(options: LiveConnectionOptions) {
    this.#options = options;
  }

  /** Whether no socket gets through. */
  get isBlocked(): boolean {
    return !this.#isOpen && this.#attempts >= attemptsMax;
  }

  /** Calls when `isBlocked` may have become another, until the answer is called. */
  onChange(listener: () => void): () => void {
    this.#changed.add(listener);
    return () => this.#changed.delete(listener);
  }

  /** Asks for a watch. `again`: under its present terms, which are asked for anew; `leave`: no more. */
  watch(listener: WatchListener): { readonly again: () => void; readonly leave: () => void } {
    let id = this.#join(listener);
    const leave = (): void => {
      if (this.#watches.delete(id) && this.#isOpen) this.#send({ unwatch: id });
      this.#linger();
    };
    return {
      leave,
      again: () => {
        if (!this.#watches.delete(id)) return;
        if (this.#isOpen) this.#send({ unwatch: id });
        id = this.#join(listener);
      },
    };
  }

  #join(listener: WatchListener): number {
    const id = ++this.#lastId;
    this.#watches.set(id, listener);
    if (this.#isOpen) this.#ask(id, listener);
    else this.#schedule();
    return id;
  }

  // Once, however many ask for it.
  #schedule(): void {
    if (this.#socket || this.#isOpening || this.#opening || this.#watches.size === 0) return;
    const { timers, random } = this.#options.host;
    const knocks = this.#attempts - attemptsMax;
    const isFirst = !this.#wasOpen && this.#attempts === 0;
    const pauseMs =
      knocks >= 0 ? backoffMs(knocking, knocks + 1, random) : isFirst ? 0 : backoffMs(reconnecting, this.#attempts + 1, random);
    this.#opening = timers.after(pauseMs, () => {
      this.#opening = undefined;
      this.#isOpening = true;
      void this.#open();
    });
  }

  async #open(): Promise<void> {
    const { host, url } = this.#options;
    const protocols = await this.#protocols();
    this.#isOpening = false;
    if (this.#watches.size === 0) return;
    if (!protocols || !host.network.socket) return this.#failed(attemptsMax);
    const late = host.timers.after(openMs, () => socket.close());
    let socket: NetworkSocket;
    try {
      socket = host.network.socket(url, protocols, {
        opened: () => {
          late.cancel();
          this.#opened(socket);
        },
        heard: (text) => {
          if (this.#socket === socket) this.#heard(text);
        },
        closed: (code) => {
          late.cancel();
          this.#closed(socket, code);
        },
      });
    } catch {
      // A page may open no such connection, by its policy or because it was loaded over https and the gateway was not.
      late.cancel();
      return this.#failed(attemptsMax);
    }
    this.#socket = socket;
  }

  #failed(attempts: number): void {
    this.#attempts = Math.max(this.#attempts + 1, attempts);
    this.#schedule();
    this.#tell();
  }

  /** The subprotocols to offer; `undefined` when credentials can go with no socket. */
  async #protocols(): Promise<string[] | undefined> {
    let headers: Readonly<Record<string, string>>;
    try {
      headers = await this.#options.headers();
    } catch {
      return undefined; // whoever polls is told
    }
    const protocols: string[] = [subprotocol];
    for (const [name, value] of Object.entries(headers)) {
      if (this.#options.spared.includes(name.toLowerCase())) continue;
      // The characters of a JWT; not every bearer token can be the name of a subprotocol.
      const [, bearer] = name.toLowerCase() === "authorization" ? (/^Bearer ([\w.~+-]+)$/i.exec(value) ?? []) : [];
      if (bearer === undefined) return undefined;
      protocols.push(`${bearerPrefix}${bearer}`);
    }
    return protocols;
  }

  #opened(socket: NetworkSocket): void {
    if (this.#socket !== socket) return;
    this.#isOpen = true;
    this.#wasOpen = true;
    this.#wasHeard = false;
    this.#heardAt = this.#options.host.clock.elapsed();
    this.#listen();
    for (const [id, listener] of this.#watches) this.#ask(id, listener);
    this.#tell();
    this.#linger();
  }

  #closed(socket: NetworkSocket, code: number): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#isOpen = false;
    this.#silence?.cancel();
    // What the server has against this caller, a poll is told in words.
    if (code === closeCodes.tooMany || code === closeCodes.policy) return this.#failed(attemptsMax + this.#excesses++);
    if (!this.#wasHeard) return this.#failed(0);
    this.#wasHeard = false;
    this.#schedule();
    this.#tell();
  }

  #linger(): void {
    if (this.#watches.size > 0) return;
    this.#lingering?.cancel();
    this.#lingering = this.#options.host.timers.after(lingerMs, () => this.#close());
  }

  #close(): void {
    if (this.#watches.size > 0) return;
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isOpen = false;
    this.#silence?.cancel();
    socket?.close();
  }

  #heard(text: string): void {
    this.#heardAt = this.#options.host.clock.elapsed();
    this.#wasHeard = true;
    this.#attempts = 0;
    const message = toldOf(text);
    if (message && "id" in message && message.id !== undefined) this.#watches.get(message.id)?.told(message);
  }

  // A laptop that slept has a connection that is dead without knowing it.
  #listen(): void {
    const { timers, clock } = this.#options.host;
    const silentForMs = clock.elapsed() - this.#heardAt;
    this.#silence = timers.after(Math.max(0, silentMs - silentForMs), () => {
      this.#excesses = 0;
      if (clock.elapsed() - this.#heardAt < silentMs) return this.#listen();
      const askedAt = clock.elapsed();
      this.#send({ ping: Math.floor(askedAt) });
      this.#silence = timers.after(pongMs, () => {
        if (this.#heardAt >= askedAt) this.#listen();
        else this.#socket?.close();
      });
    });
  }

  #ask(id: number, listener: WatchListener): void {
    this.#send({ watch: { id, ...listener.terms() } });
  }

  #send(ask: object): void {
    this.#socket?.send(JSON.stringify(ask));
  }

  #tell(): void {
    for (const listener of [...this.#changed]) listener();
  }
}

function toldOf(text: string): Told | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Told) : undefined;
  } catch {
    return undefined; // not of a gateway
  }
}
