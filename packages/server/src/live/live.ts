/**
 * `/live`: whoever watches, over a WebSocket or server-sent events. Nothing here is registered anywhere else and nothing is remembered of a connection that has
 * ended: any gateway over the same services takes up any watch by its cursor.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { ConvergentError, type Duration, durationMs, isConvergentError, live, type Timer, type Timers, wire } from "convergent";
import { WebSocketServer } from "ws";
import { type Access, anyone, type Visit } from "../gateway/access.ts";
import type { Sender } from "../gateway/caller.ts";
import type { Directory } from "../gateway/directory.ts";
import { guard, type GuardRules } from "../gateway/guard.ts";
import { type Limiter, limitKey } from "../gateway/limits.ts";
import { failure, invalidInput, plainProblem } from "../gateway/problem.ts";
import { type WatchAsk, watchOf } from "./ask.ts";
import { Connection, frameBytesMax, type Line } from "./connection.ts";
import { EventStream, resumeOf } from "./event-stream.ts";
import { offersProtocol, refuse, requestOf, withBearer } from "./handshake.ts";
import { Session, type Way } from "./session.ts";
import { SocketLine } from "./socket.ts";
import { type TextConnection, TextLine, type TextSocket } from "./text-socket.ts";
import { Topics } from "./topics.ts";

/** What connections of `/live` may do. */
export interface LiveOptions {
  /** Watches of one connection. Default 100. */
  readonly watches?: number;
  /** How often credentials are looked at again, and every watch judged by them, beside the moment at which they expire. Default "30s". */
  readonly recheck?: Duration;
  /** How often a connection is asked whether it lives; one that has not answered by the next time is cut off. Default "25s". */
  readonly heartbeat?: Duration;
}

export interface LiveParts {
  readonly directory: Directory;
  readonly access: Access;
  /** Nobody is authenticated. */
  readonly open: boolean;
  readonly limiter: Limiter | undefined;
  readonly rules: GuardRules;
  readonly onError: (error: unknown, where: string) => void;
}

/** A handshake whose sender is not known by then is given up. */
const handshakeMs = 10_000;

/** How often credentials that have expired, and were accepted all the same, are looked at again. */
const expiredMs = 5_000;

/** Whether it is time to ping somebody, or to look at credentials. */
const tickMs = 1_000;

/** A handshake that was let in. */
interface Admission {
  readonly request: Request;
  readonly visit: Visit;
  /** What the caller is counted by. */
  readonly key: string;
}

/** A connection, and when it is to be looked after. */
interface Entry {
  readonly session: Session;
  readonly request: Request;
  beat(): void;
  close(code: number, reason: string): void;
  /** By the clock that only counts. */
  checkAt: number;
  /** Counts the times that credentials were looked at: an answer that comes after a later one is none. */
  checks: number;
  beatAt: number;
}

export class Live {
  readonly #parts: LiveParts;
  readonly #topics: Topics;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: frameBytesMax,
    perMessageDeflate: false, // one frame for all receivers, and no memory for each of them
    handleProtocols: (protocols) => (protocols.has(live.subprotocol) ? live.subprotocol : false),
  });
  readonly #connections = new Set<Entry>();
  readonly #handshakes = new Set<Duplex>();
  readonly #watchesMax: number;
  readonly #recheckMs: number;
  readonly #heartbeatMs: number;
  #ticking: Timer | undefined;
  #isEnded = false;

  /** Throws `definition_invalid`. */
  constructor(parts: LiveParts, { watches = 100, recheck = "30s", heartbeat = "25s" }: LiveOptions = {}) {
    if (!(Number.isInteger(watches) && watches > 0))
      throw new ConvergentError("definition_invalid", `live.watches is a whole number from 1 on, not ${watches}`);
    this.#parts = parts;
    this.#watchesMax = watches;
    this.#recheckMs = durationMs(recheck);
    this.#heartbeatMs = durationMs(heartbeat);
    this.#topics = new Topics((error) => parts.onError(error, "/live"));
    parts.directory.ending.addEventListener("abort", () => this.#end());
  }

  /** Connections, their watches, and the subjects that are looked at for them. */
  get counts(): { readonly connections: number; readonly watches: number; readonly subjects: number } {
    let watches = 0;
    for (const { session } of this.#connections) watches += session.watches;
    return { connections: this.#connections.size, watches, subjects: this.#topics.size };
  }

  /** Takes a WebSocket over from a server of Node, or refuses it. Never throws. */
  upgrade(message: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on("error", () => undefined);
    const limit = setTimeout(() => stream.destroy(), handshakeMs).unref();
    this.#handshakes.add(stream);
    void this.#welcome(message, stream, head)
      .catch((error: unknown) => refuse(stream, failure(error, "GET /live", this.#parts.onError)))
      .finally(() => {
        this.#handshakes.delete(stream);
        clearTimeout(limit);
      });
  }

  /** `GET /live`: server-sent events. */
  stream(request: Request, visit: Visit, sender: Sender): Response {
    if (!(request.headers.get("accept") ?? "").includes("text/event-stream"))
      return plainProblem(
        426,
        "Upgrade Required",
        "this address speaks WebSocket, and server-sent events to whoever accepts text/event-stream",
        {
          connection: "Upgrade",
          upgrade: "websocket",
        },
      );
    const watches = watchesIn(request);
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" };
    const { signal, method } = request;
    // Nobody would read a stream, nor end it: by HEAD, and when the sender has left while it was found out who that is.
    if (method === "HEAD" || signal.aborted) return new Response(null, { headers });
    const leave = this.#parts.limiter?.wait(limitKey(visit, sender));
    const connection = new EventStream(
      (way) => this.#session(way, visit),
      () => {
        leave?.();
        this.#left(entry);
      },
    );
    const { session } = connection;
    const entry = this.#joined({ session, request, beat: () => connection.beat(), close: () => connection.close() }, visit);
    signal.addEventListener("abort", () => connection.close());
    for (const watch of watches) void session.watch(watch);
    return new Response(connection.body, { headers });
  }

  /**
   * Judges a handshake: the refusal, or what takes up the socket, once, within ten seconds. Never rejects.
   */
  async accept(handshake: Request, sender: Sender): Promise<Response | ((socket: TextSocket) => TextConnection)> {
    try {
      const admission = await this.#admit(new Request(handshake, { headers: withBearer(new Headers(handshake.headers)) }), sender);
      const leave = this.#parts.limiter?.wait(admission.key);
      let isLate = false;
      const limit = this.#timers.after(handshakeMs, () => {
        isLate = true;
        leave?.();
      });
      return (socket) => {
        limit.cancel();
        const line = new TextLine(socket);
        const connection = this.#connect(line, admission, () => (isLate ? undefined : leave?.()));
        if (isLate || this.#isEnded) connection.close(live.closeCodes.goingAway, "this server stops, or the handshake took too long");
        return line.listenerOf(connection);
      };
    } catch (error) {
      return failure(error, "GET /live", this.#parts.onError);
    }
  }

  async #welcome(message: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const admission = await this.#admit(requestOf(message), message.socket);
    const leave = this.#parts.limiter?.wait(admission.key);
    let isJoined = false;
    this.#server.handleUpgrade(message, stream, head, (socket) => {
      isJoined = true;
      const line = new SocketLine(socket, stream);
      line.listen(this.#connect(line, admission, leave));
    });
    if (!isJoined) leave?.(); // the library has answered what is no handshake, or the sender is gone
  }

  async #admit(request: Request | undefined, sender: Sender): Promise<Admission> {
    const { limiter, open, rules } = this.#parts;
    if (this.#isEnded) throw stops();
    if (!request || new URL(request.url).pathname !== "/live")
      throw new ConvergentError("not_found", "WebSockets are served at /live", { details: { known: ["/live"] } });
    // A page of another origin could watch in its visitor's name: it is judged as if it wrote.
    const refusal = guard({ method: "POST", headers: request.headers }, rules);
    if (refusal) throw refusal;
    if (!offersProtocol(request))
      throw invalidInput(`offer the subprotocol ${live.subprotocol}`, [{ path: "", reason: "no known subprotocol" }]);
    const visit = open ? anyone : await this.#admitted(request, sender);
    if (this.#isEnded) throw stops(); // while somebody was asked who that is
    const key = limitKey(visit, sender);
    limiter?.count(key);
    return { request, visit, key };
  }

  #connect(line: Line, { request, visit, key }: Admission, leave: (() => void) | undefined): Connection {
    const connection = new Connection({
      line,
      session: (way) => this.#session(way, visit),
      count: () => this.#parts.limiter?.count(key),
      onClosed: () => {
        leave?.();
        this.#left(entry);
      },
    });
    const { session } = connection;
    const entry = this.#joined(
      { session, request, beat: () => connection.beat(), close: (code, why) => connection.close(code, why) },
      visit,
    );
    return connection;
  }

  // Whoever tries credentials is counted by its address, as over HTTP.
  async #admitted(request: Request, sender: Sender): Promise<Visit> {
    try {
      return await this.#parts.access.admit(request);
    } catch (error) {
      this.#parts.limiter?.count(limitKey(anyone, sender));
      throw error;
    }
  }

  #session(way: Way, visit: Visit): Session {
    const { access, directory, onError } = this.#parts;
    return new Session({
      directory,
      topics: this.#topics,
      way,
      visit,
      watchesMax: this.#watchesMax,
      discreet: (error, of) => access.discreet(error, of),
      onError: (error) => onError(error, "/live"),
    });
  }

  #joined(connection: Omit<Entry, "checkAt" | "checks" | "beatAt">, visit: Visit): Entry {
    const entry: Entry = { ...connection, checkAt: this.#nextCheck(visit), checks: 0, beatAt: this.#now + this.#heartbeatMs };
    this.#connections.add(entry);
    this.#ticking ??= this.#timers.after(tickMs, () => this.#tick());
    return entry;
  }

  #left(connection: Entry): void {
    this.#connections.delete(connection);
  }

  #tick(): void {
    this.#ticking = undefined;
    if (this.#isEnded || this.#connections.size === 0) return;
    this.#ticking = this.#timers.after(tickMs, () => this.#tick());
    const now = this.#now;
    for (const connection of this.#connections) {
      if (connection.beatAt <= now) {
        connection.beatAt = now + this.#heartbeatMs;
        connection.beat();
      }
      if (connection.checkAt <= now) {
        connection.checkAt = now + this.#recheckMs; // an answer that never comes is not the last that was asked for
        void this.#check(connection);
      }
    }
  }

  // Credentials that are not accepted any more end the connection; whoever has new ones connects again, and resumes.
  async #check(connection: Entry): Promise<void> {
    const check = ++connection.checks;
    try {
      const visit = await this.#parts.access.admit(connection.request);
      if (connection.checks !== check) return;
      connection.checkAt = this.#nextCheck(visit);
      await connection.session.judge(visit);
    } catch (error) {
      if (connection.checks !== check) return;
      if (isConvergentError(error, "unauthenticated"))
        return connection.close(live.closeCodes.unauthenticated, "the credentials have expired or are not accepted any more");
      // Whoever vouches for callers does not answer: nobody is let in by that, and nobody is cut off.
      if (!isConvergentError(error, "unavailable"))
        return connection.close(live.closeCodes.failed, "the credentials could not be looked at");
      connection.checkAt = this.#now + this.#recheckMs;
    }
  }

  #nextCheck({ caller }: Visit): number {
    if (this.#parts.open || !caller) return Number.POSITIVE_INFINITY;
    const { exp } = caller.claims;
    if (typeof exp !== "number" || !Number.isFinite(exp)) return this.#now + this.#recheckMs;
    const leftMs = exp * 1000 - this.#host.clock.now();
    // What has expired may still be accepted, by whoever allows for clocks that differ.
    return this.#now + Math.min(this.#recheckMs, leftMs > 0 ? leftMs : expiredMs);
  }

  #end(): void {
    this.#isEnded = true;
    this.#ticking?.cancel();
    for (const connection of [...this.#connections]) connection.close(live.closeCodes.goingAway, "this server stops; another one goes on");
    for (const stream of this.#handshakes) refuse(stream, failure(stops(), "GET /live", this.#parts.onError));
  }

  get #host() {
    const [service] = this.#parts.directory.services;
    if (!service) throw new ConvergentError("definition_invalid", "a gateway without services has nothing to watch");
    return service.log.host;
  }

  get #timers(): Timers {
    return this.#host.timers;
  }

  get #now(): number {
    return this.#host.clock.elapsed();
  }
}

function stops(): ConvergentError {
  return new ConvergentError("closed", "this server stops; ask another one");
}

/** Throws `invalid_input`. */
function watchesIn(request: Request): WatchAsk[] {
  const query = new URL(request.url).searchParams;
  const from = resumeOf(request.headers.get("last-event-id"));
  const after = request.headers.get(wire.headers.token);
  const watches = query.getAll("watch").map((text): WatchAsk => {
    const watch = watchOf(objectIn(text));
    const cursor = from[String(watch.id)] ?? watch.from;
    return { ...watch, ...(cursor === undefined ? {} : { from: cursor }), ...(after === null ? {} : { after: watch.after ?? after }) };
  });
  if (watches.length > 0) return watches;
  const example = '/live?watch={"id":1,"view":"order-summary","key":"o-1"}';
  throw invalidInput(`name what is watched, once for each watch, as ${example} (percent-encoded)`, [{ path: "watch", reason: "missing" }]);
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Said below.
  }
  throw invalidInput("watch is a JSON object", [{ path: "watch", reason: "no JSON object" }]);
}
