/**
 * The watches of one connection, whatever it is made of. Each is judged when it is asked for, and again whenever the caller's credentials are looked at
 * again. What goes wrong with one of them is told under its id, and touches no other.
 */
import { ConvergentError, isConvergentError, parseToken, type ServiceRuntime } from "convergent";
import { type Grant, narrowed, type Question, type Visit } from "../gateway/access.ts";
import type { Directory } from "../gateway/directory.ts";
import { problemBody, unexpected } from "../gateway/problem.ts";
import { type Asked, askOf, idIn, type WatchAsk } from "./ask.ts";
import { parseCursor } from "./cursor.ts";
import { Message } from "./message.ts";
import type { Topic } from "./topic.ts";
import type { Topics } from "./topics.ts";
import { type Level, type Outlet, Watch } from "./watch.ts";

/** What messages leave through. */
export interface Way {
  /** What was sent lies in this process's memory. */
  readonly isFull: boolean;
  send(message: Message, id: number): void;
  /** Several, in their order, with one write. */
  sendAll?(messages: readonly Message[], id: number): void;
  /** About no watch in particular. */
  tell(text: string): void;
}

export interface SessionOptions {
  readonly directory: Directory;
  readonly topics: Topics;
  readonly way: Way;
  readonly visit: Visit;
  readonly watchesMax: number;
  /** A failure without the names it would give away to this caller. */
  readonly discreet: (error: unknown, visit: Visit) => Promise<unknown>;
  readonly onError: (error: unknown) => void;
}

interface Entry {
  readonly asked: WatchAsk;
  watch?: Watch;
  /** What a query must ask for besides, as it was granted. */
  conditions?: string | undefined;
  readonly ended: AbortController;
}

/** A watch's subject, the service whose log it is of, and the question whether this caller may see it. */
interface Subject {
  readonly service: ServiceRuntime;
  readonly question: Question;
  readonly topic: (grant: Grant) => Topic;
}

/** Made once: a reason with a trace of its own for each watch that ends was a twentieth of what a thousand who come back cost. */
const over = new ConvergentError("closed", "the watch has ended");

/** Effects of other services that have not arrived are asked for in turns of this length. */
const turnMs = 30_000;

export class Session implements Outlet {
  readonly #options: SessionOptions;
  readonly #entries = new Map<number, Entry>();
  readonly #late = new Set<Watch>();
  #visit: Visit;
  #isEnded = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#visit = options.visit;
  }

  get watches(): number {
    return this.#entries.size;
  }

  get isFull(): boolean {
    return this.#options.way.isFull;
  }

  /** Does what a frame asks. Answers whether it was understood; never rejects. */
  async receive(text: string): Promise<boolean> {
    let asked: Asked;
    try {
      asked = askOf(text);
    } catch (error) {
      this.#refuse(error, isConvergentError(error) ? idIn(error) : undefined);
      return false;
    }
    if (asked.kind === "unwatch") this.#unwatch(asked.id);
    else if (asked.kind === "ping") this.#options.way.tell(`{"pong":${asked.number}}`);
    else await this.watch(asked.watch);
    return true;
  }

  /** Begins a watch; a failure is told under its id. Never rejects. */
  async watch(asked: WatchAsk): Promise<void> {
    const { id } = asked;
    if (this.#entries.has(id))
      return this.#refuse(
        new ConvergentError("invalid_input", `there is a watch ${id} on this connection already; unwatch it, or take another id`),
        id,
      );
    if (this.#entries.size >= this.#options.watchesMax)
      return this.#refuse(new ConvergentError("too_many_requests", `a connection has at most ${this.#options.watchesMax} watches`), id);
    const entry: Entry = { asked, ended: new AbortController() };
    this.#entries.set(id, entry);
    try {
      await this.#begin(entry);
    } catch (error) {
      entry.watch?.end();
      const shown = await this.#options.discreet(error, this.#visit);
      if (this.#entries.get(id) !== entry) return;
      this.#entries.delete(id);
      this.#refuse(shown, id);
    }
  }

  /** There is room again. */
  drained(): void {
    const late = [...this.#late];
    this.#late.clear();
    for (const watch of late) watch.offer();
  }

  /** Judges every watch again, for the caller as it is known now. Never rejects. */
  async judge(visit: Visit): Promise<void> {
    this.#visit = visit;
    for (const [id, { asked, watch, conditions }] of this.#entries) {
      if (!watch) continue;
      try {
        const grant = await visit.judge(this.#subject(asked).question);
        if (this.#visit !== visit) return; // it was judged by newer credentials meanwhile
        if (JSON.stringify(grant.conditions) !== conditions)
          throw new ConvergentError("forbidden", "what this caller may see has become another; watch it again");
        watch.granted(grant);
      } catch (error) {
        if (this.#visit === visit && this.#entries.get(id)?.watch === watch) watch.refuse(this.#problem(error));
      }
    }
  }

  /** Ends every watch, without a word. */
  end(): void {
    this.#isEnded = true;
    for (const id of [...this.#entries.keys()]) this.#unwatch(id);
  }

  send(message: Message, id: number): void {
    if (!this.#isEnded) this.#options.way.send(message, id);
  }

  sendAll(messages: readonly Message[], id: number): void {
    const { way } = this.#options;
    if (this.#isEnded) return;
    if (way.sendAll) way.sendAll(messages, id);
    else for (const message of messages) way.send(message, id);
  }

  late(watch: Watch): void {
    this.#late.add(watch);
  }

  ended(watch: Watch): void {
    this.#late.delete(watch);
    this.#entries.get(watch.id)?.ended.abort(over);
    this.#entries.delete(watch.id);
  }

  failed(watch: Watch, error: unknown): void {
    watch.refuse(this.#problem(error));
  }

  moved(watch: Watch): void {
    const entry = this.#entries.get(watch.id);
    if (entry?.watch === watch) void this.#measure(entry, watch);
  }

  /** Where each watch goes on. */
  cursors(): Record<number, string> {
    const cursors: Record<number, string> = {};
    for (const [id, { watch }] of this.#entries) {
      const cursor = watch?.cursor;
      if (cursor !== undefined) cursors[id] = cursor;
    }
    return cursors;
  }

  async #begin(entry: Entry): Promise<void> {
    const { asked, ended } = entry;
    const { service, question, topic: topicOf } = this.#subject(asked);
    const visit = this.#visit;
    const judging = visit.judge(question);
    let grant = judging instanceof Promise ? await judging : judging;
    const level = asked.after === undefined ? undefined : await levelOf(service, parseToken(asked.after), 0);
    if (this.#visit !== visit) grant = await this.#visit.judge(question); // the other watches were judged again meanwhile
    if (ended.signal.aborted) return;
    const topic = topicOf(grant);
    const watch = new Watch(asked.id, { topic, outlet: this, grant, level });
    entry.watch = watch;
    entry.conditions = JSON.stringify(grant.conditions);
    topic.join(watch);
    watch.begin(verdictOf(topic, asked.from));
    if (level && !level.isWhole) void this.#reach(watch, { service, token: asked.after as string, ended });
  }

  // What `after` asks for in a history that a restore has begun; the watch ends when it is not in there.
  async #measure({ asked, ended }: Entry, watch: Watch): Promise<void> {
    const { service } = this.#subject(asked);
    const token = asked.after as string;
    try {
      const level = await levelOf(service, parseToken(token), 0);
      if (level.isWhole) watch.reached(level);
      else await this.#reach(watch, { service, token, ended });
    } catch (error) {
      if (!ended.signal.aborted) watch.refuse(this.#problem(error));
    }
  }

  // What the token names of other services may be on its way.
  async #reach(
    watch: Watch,
    { service, token, ended }: { readonly service: ServiceRuntime; readonly token: string; readonly ended: AbortController },
  ): Promise<void> {
    while (!ended.signal.aborted && !this.#isEnded) {
      const level = await levelOf(service, parseToken(token), turnMs, ended.signal).catch(() => undefined);
      if (level?.isWhole) return watch.reached(level);
      await service.log.host.timers.sleep(1_000);
    }
  }

  #subject(asked: WatchAsk): Subject {
    const { directory, topics } = this.#options;
    if ("entity" in asked) {
      const entity = directory.entity(asked.entity);
      const { service, name } = entity;
      return { service, question: { kind: "entity", name, id: asked.key }, topic: () => topics.entity(entity, asked.key) };
    }
    if ("saga" in asked) {
      const saga = directory.saga(asked.saga);
      const { service, name } = saga;
      return { service, question: { kind: "saga-read", name, id: asked.key }, topic: () => topics.saga(saga, asked.key) };
    }
    const view = directory.view(asked.view);
    const { service, definition } = view;
    const { name } = definition;
    if ("key" in asked) return { service, question: { kind: "view", name, key: asked.key }, topic: () => topics.document(view, asked.key) };
    const { where = {}, orderBy, order, limit } = asked;
    const options = {
      ...(limit === undefined ? {} : { limit }),
      ...(orderBy === undefined ? {} : { orderBy }),
      ...(order === "desc" ? { descending: true } : {}),
    };
    const topic = (grant: Grant): Topic => topics.query(view, { conditions: narrowed(where, grant), options });
    return { service, question: { kind: "query", name, conditions: where }, topic };
  }

  #unwatch(id: number): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    entry.ended.abort(over);
    entry.watch?.end();
    if (entry.watch) this.#late.delete(entry.watch);
  }

  #refuse(error: unknown, id: number | undefined): void {
    const body = { error: this.#problem(error) };
    if (id === undefined) this.#options.way.tell(JSON.stringify(body));
    else this.send(Message.of(body), id);
  }

  #problem(error: unknown): Readonly<Record<string, unknown>> {
    if (isConvergentError(error)) return problemBody(error);
    this.#options.onError(error);
    return unexpected;
  }
}

async function levelOf(
  service: ServiceRuntime,
  token: ReturnType<typeof parseToken>,
  waitMs: number,
  signal?: AbortSignal,
): Promise<Level> {
  const { position, unmet, unchecked } = await service.covers(token, { waitMs, ...(signal ? { signal } : {}) });
  return { position, isWhole: unmet.length === 0 && unchecked.length === 0 };
}

function verdictOf(topic: Topic, from: string | undefined): Parameters<Watch["begin"]>[0] {
  if (from === undefined) return { reset: "start" };
  const cursor = parseCursor(from);
  if (!cursor) return { reset: "cursor" };
  if (cursor.target !== topic.target) return { reset: "target" };
  if (cursor.version !== topic.version) return { reset: "version" };
  if (cursor.epoch !== topic.epoch) return { reset: "history" };
  return { from: cursor };
}
