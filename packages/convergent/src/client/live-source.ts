/**
 * News over the client's socket, and by asking for as long as no socket gets through. A watch keeps what it was told, and goes on
 * from there over a new connection; a write of this session is a reason to ask again whether it has been seen.
 */
import type { ErrorCode } from "../errors/catalogue.ts";
import { ConvergentError } from "../errors/error.ts";
import { position } from "../position/position.ts";
import { emptyToken, mergeTokens, parseToken, type Token } from "../position/token.ts";
import type { Label, PageNews, Target, Told, ValueNews } from "../protocol/live.ts";
import { hasEnded } from "../protocol/saga.ts";
import type { ParkedAt } from "../protocol/reading.ts";
import type { SagaBody } from "../protocol/wire.ts";
import { throwIfCancelled } from "./cancellation.ts";
import type { LiveConnection, Terms } from "./live-connection.ts";
import { problemError, readProblem } from "./problem.ts";
import type { Reach } from "./reach.ts";
import { sagaViewOf } from "./saga-client.ts";
import type { FollowOptions, News, WatchSource, WatchTarget } from "./watch-source.ts";

/** Any answer that holds a position. */
type Heard = Label &
  Partial<Pick<PageNews, "changed" | "gone" | "keys" | "next"> & Pick<ValueNews, "value" | "version" | "pending">> & {
    readonly parked?: ParkedAt | number;
  };

/** From a failure that passes to the next attempt. */
const retryMs = 1_000;

/** What a poll sees to, by forgetting what a restore took away. */
const sessionTrouble: ReadonlySet<ErrorCode> = new Set(["token_epoch", "token_invalid"]);

export class LiveSource implements WatchSource {
  readonly #reach: Reach;
  readonly #connection: LiveConnection;
  readonly #polling: WatchSource;

  constructor(reach: Reach, connection: LiveConnection, polling: WatchSource) {
    this.#reach = reach;
    this.#connection = connection;
    this.#polling = polling;
  }

  async *follow(target: WatchTarget, options: FollowOptions): AsyncGenerator<News, void, undefined> {
    const terms = liveTarget(target);
    if (!terms) {
      yield* this.#polling.follow(target, options);
      return;
    }
    for (;;) {
      if (this.#connection.isBlocked) {
        if ((yield* this.#polled(target, options)) === "ended") return;
      } else {
        const end = yield* this.#heard({ target, terms }, options);
        if (end === "ended") return;
        if (end === "session") yield* this.#once(target, options);
        if (end === "later") await this.#reach.transport.host.timers.sleep(retryMs, options.signal);
      }
      throwIfCancelled(options.signal);
    }
  }

  /** By asking, until a socket gets through. */
  async *#polled(target: WatchTarget, options: FollowOptions): AsyncGenerator<News, "ended" | "open", undefined> {
    const polling = new AbortController();
    const stop = (): void => polling.abort(options.signal.aborted ? options.signal.reason : new Error("a socket got through"));
    const forget = this.#connection.onChange(() => {
      if (!this.#connection.isBlocked) stop();
    });
    options.signal.addEventListener("abort", stop);
    // It keeps the connection trying.
    const knock = this.#connection.watch({ terms: () => liveTarget(target) as Terms, told: () => undefined });
    try {
      yield* this.#polling.follow(target, { ...options, signal: polling.signal });
      return "ended";
    } catch (error) {
      if (!polling.signal.aborted || options.signal.aborted) throw error;
      return "open";
    } finally {
      knock.leave();
      forget();
      options.signal.removeEventListener("abort", stop);
    }
  }

  /** One answer by asking. */
  async *#once(target: WatchTarget, options: FollowOptions): AsyncGenerator<News, void, undefined> {
    for await (const news of this.#polling.follow(target, options)) {
      yield news;
      return;
    }
  }

  async *#heard(
    watched: { readonly target: WatchTarget; readonly terms: Target },
    options: FollowOptions,
  ): AsyncGenerator<News, "ended" | "blocked" | "session" | "later", undefined> {
    const hearing = new Hearing(this.#reach, watched, options);
    const { signal } = options;
    const joined = this.#connection.watch(hearing);
    const wake = (): void => hearing.wake();
    const forgets = [
      this.#connection.onChange(wake),
      this.#reach.session.onWrote(() => {
        if (hearing.lacks()) joined.again();
      }),
    ];
    signal.addEventListener("abort", wake);
    try {
      for (;;) {
        throwIfCancelled(signal);
        const heard = hearing.take();
        if (heard instanceof ConvergentError) {
          if (sessionTrouble.has(heard.code)) return "session";
          if (heard.retry === "later") return "later";
          throw heard;
        }
        if (heard) {
          yield heard;
          if (watched.target.kind === "saga" && hasEnded((heard.reading as { status: Parameters<typeof hasEnded>[0] }).status))
            return "ended";
        } else if (this.#connection.isBlocked) return "blocked";
        else await hearing.next();
      }
    } finally {
      joined.leave();
      for (const forget of forgets) forget();
      signal.removeEventListener("abort", wake);
    }
  }
}

/** One watch: what it was told last, and the newest news that nobody has taken. */
class Hearing {
  readonly #reach: Reach;
  readonly #target: WatchTarget;
  readonly #terms: Target;
  readonly #after: FollowOptions["after"];
  #asked: Token = emptyToken;
  #covers: Token = emptyToken;
  #cursor: string | undefined;
  #value: ValueNews | undefined;
  #page = new Map<string, unknown>();
  #keys: readonly string[] = [];
  /** Of the page. */
  #rest: { readonly parked?: number; readonly cursor?: string } = {};
  #news: News | ConvergentError | undefined;
  #wake: () => void = () => undefined;

  constructor(reach: Reach, { target, terms }: { readonly target: WatchTarget; readonly terms: Target }, { after }: FollowOptions) {
    this.#reach = reach;
    this.#target = target;
    this.#terms = terms;
    this.#after = after;
  }

  terms(): Terms {
    this.#asked = this.#demand();
    return {
      ...this.#terms,
      ...(this.#asked.entries.length > 0 ? { after: String(this.#asked) } : {}),
      ...(this.#cursor === undefined ? {} : { from: this.#cursor }),
    };
  }

  /** Whether the session wants something by now that was not asked for. */
  lacks(): boolean {
    return String(mergeTokens(this.#asked, this.#demand())) !== String(this.#asked);
  }

  told(message: Told): void {
    if ("error" in message) this.#put(errorOf(message.error));
    else if ("reset" in message) this.#begin();
    else if ("asOf" in message) this.#put(this.#newsOf(message));
  }

  /** What is new, once. */
  take(): News | ConvergentError | undefined {
    const news = this.#news;
    this.#news = undefined;
    return news;
  }

  next(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  wake(): void {
    this.#wake();
  }

  // What a session wants to have seen of one view also holds what it was shown there.
  #demand(): Token {
    const { target } = this;
    return this.#reach.session.demand(target.kind === "document" || target.kind === "query" ? target.view.name : undefined, this.#after);
  }

  get target(): WatchTarget {
    return this.#target;
  }

  #begin(): void {
    this.#cursor = undefined;
    this.#value = undefined;
    this.#page = new Map();
    this.#keys = [];
    this.#covers = emptyToken;
  }

  #put(news: News | ConvergentError | undefined): void {
    if (!news) return;
    this.#news = news;
    this.#wake();
  }

  #newsOf(message: Heard): News | ConvergentError | undefined {
    this.#cursor = message.cursor;
    const token = message.token === "" ? emptyToken : parseToken(message.token);
    const { target } = this;
    this.#reach.session.read(token, target.kind === "document" || target.kind === "query" ? target.view.name : undefined);
    this.#covers = mergeTokens(message.fresh ? this.#asked : emptyToken, mergeTokens(this.#covers, token));
    const reading = this.#reading(message, token);
    if (reading === undefined || reading instanceof ConvergentError) return reading;
    return { reading, at: token, covers: this.#covers };
  }

  #reading(message: Heard, token: Token): object | ConvergentError | undefined {
    const { asOf, fresh, behind = { positions: 0, ms: 0 } } = message;
    const label = { asOf: position(asOf), behind, fresh, token };
    if (this.#target.kind === "query") {
      this.#change(message);
      const value = this.#keys.map((key) => ({ key, value: this.#page.get(key) }));
      return { ...label, value, ...this.#rest };
    }
    if ("value" in message) this.#value = message as ValueNews;
    const known = this.#value;
    if (!known) return undefined; // it was told a position before any value: a gateway that does not keep to its word
    switch (this.#target.kind) {
      case "document":
        return { ...label, value: known.value ?? undefined, ...(known.parked ? { parked: known.parked } : {}) };
      case "entity":
        if (known.value === null) return fresh ? notThere(this.#target) : undefined;
        return { state: known.value, version: known.version, pending: known.pending ?? [], token, fresh };
      case "saga":
        return sagaViewOf({ ...(known.value as SagaBody), version: known.version ?? 0, token: known.token });
    }
  }

  #change({ changed, gone, keys, parked, next }: Heard): void {
    for (const { key, value } of changed ?? []) this.#page.set(key, value);
    for (const key of gone ?? []) this.#page.delete(key);
    if (changed) this.#rest = { ...(typeof parked === "number" ? { parked } : {}), ...(next === undefined ? {} : { cursor: next }) };
    if (!keys) return;
    this.#keys = keys;
    const present = new Set(keys);
    for (const key of [...this.#page.keys()]) if (!present.has(key)) this.#page.delete(key);
  }
}

function errorOf(problem: Readonly<Record<string, unknown>>): ConvergentError {
  return problemError(readProblem(Number(problem["status"] ?? 500), JSON.stringify(problem)));
}

function notThere({ entity, id }: Extract<WatchTarget, { kind: "entity" }>): ConvergentError {
  return new ConvergentError("entity_not_found", `there is no ${entity.name} "${id}"`);
}

/** The target by its names on the wire; `undefined` for a question that only a request can ask. */
function liveTarget(target: WatchTarget): Target | undefined {
  switch (target.kind) {
    case "document":
      return { view: target.view.name, key: target.key };
    case "entity":
      return { entity: target.entity.name, key: target.id };
    case "saga":
      return { saga: target.saga.name, key: target.id };
    case "query": {
      const { cursor, count, orderBy, descending, limit } = target.page;
      if (cursor !== undefined || count) return undefined;
      const where = Object.fromEntries(
        Object.entries(target.where).flatMap(([field, condition]) => (condition === undefined ? [] : [[field, condition]])),
      );
      return {
        view: target.view.name,
        ...(Object.keys(where).length > 0 ? { where } : {}),
        ...(orderBy === undefined ? {} : { orderBy }),
        ...(descending === undefined ? {} : { order: descending ? ("desc" as const) : ("asc" as const) }),
        ...(limit === undefined ? {} : { limit }),
      };
    }
  }
}
