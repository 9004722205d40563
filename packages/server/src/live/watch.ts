/**
 * One watch of one connection: what it was told, and what it may be told next. It is told the newest state and never an older one (its floor
 * is what it has seen), and when its connection is slow, nothing until there is room, and then again the newest.
 */
import type { live } from "convergent";
import type { Grant } from "../gateway/access.ts";
import { Message } from "./message.ts";
import { cursorText } from "./cursor.ts";
import { type Has, hidden, Newest } from "./newest.ts";
import type { Topic } from "./topic.ts";

/** What a watch speaks through. */
export interface Outlet {
  /** What was sent lies here instead of on its way. */
  readonly isFull: boolean;
  send(message: Message, id: number): void;
  /** Several, in their order, as one. */
  sendAll(messages: readonly Message[], id: number): void;
  /** There was no room: to be offered again when there is. */
  late(watch: Watch): void;
  /** The watch has ended. */
  ended(watch: Watch): void;
  /** Whether it may be seen could not be found out. */
  failed(watch: Watch, error: unknown): void;
  /** It is of another history by now: what its `after` asks for there is to be found out. */
  moved(watch: Watch): void;
}

/** Of the position alone nobody is told more often than this, in milliseconds. */
export const progressMs = 100;

/** What `after` asks for, as a position of the log; effects of other services that have not arrived keep it from being met. */
export interface Level {
  readonly position: number;
  readonly isWhole: boolean;
}

export class Watch {
  readonly id: number;
  readonly topic: Topic;
  readonly #outlet: Outlet;
  #grant: Grant;
  #level: Level | undefined;
  #has: Has;
  #epoch: string;
  #floor = 0;
  #sentAt = -Infinity;
  #sentFresh: boolean | undefined;
  #sentPosition = -1;
  #isEnded = false;
  #isDoubting = false;

  constructor(
    id: number,
    {
      topic,
      outlet,
      grant,
      level,
    }: { readonly topic: Topic; readonly outlet: Outlet; readonly grant: Grant; readonly level: Level | undefined },
  ) {
    this.id = id;
    this.topic = topic;
    this.#outlet = outlet;
    this.#grant = grant;
    this.#level = level;
    this.#epoch = topic.epoch;
  }

  /** Says where it goes on: with the first message of a watch, whose cursor is given. */
  begin(
    verdict: { readonly from: { readonly position: number; readonly tags: readonly string[] } } | { readonly reset: live.ResetReason },
  ): void {
    if ("from" in verdict) {
      this.#floor = verdict.from.position;
      this.#sentPosition = verdict.from.position;
      this.#has = new Set(verdict.from.tags);
    }
    const said = "from" in verdict ? resumed : Message.of({ reset: verdict.reset });
    // What is known already goes out with it.
    const messages = [said];
    if (this.#outlet.isFull) this.#outlet.late(this);
    else if (this.topic.newest) this.#tell(this.topic.newest, messages);
    this.#say(messages);
  }

  /** What it waits for has become another: `after` names effects that have arrived. */
  reached(level: Level): void {
    this.#level = level;
    this.offer();
  }

  /** It was judged again. */
  granted(grant: Grant): void {
    this.#grant = grant;
    this.offer();
  }

  /** Tells what its topic knows by now, or the `states` that lead there, if that is news and it is time for it. */
  offer(states: readonly Newest[] = known(this.topic)): void {
    if (this.#isEnded || states.length === 0) return;
    if (this.#outlet.isFull) return this.#outlet.late(this);
    const messages: Message[] = [];
    for (const state of states) this.#tell(state, messages);
    this.#say(messages);
  }

  #say(messages: readonly Message[]): void {
    if (this.#isEnded || messages.length === 0) return;
    if (messages.length === 1) this.#outlet.send(messages[0] as Message, this.id);
    else this.#outlet.sendAll(messages, this.id);
  }

  #tell(newest: Newest, messages: Message[]): void {
    const { asOf, epoch, isWhole } = newest.standing;
    if (this.#isEnded) return;
    if (epoch !== this.#epoch) messages.push(this.#reset(epoch));
    if (asOf < this.#floor) {
      if (isWhole && newest === this.topic.newest) void this.#doubt();
      return; // it has seen more already, elsewhere
    }
    const isHidden = this.#isHidden(newest, messages);
    if (isHidden === undefined) return;
    const fresh = this.#level ? this.#level.isWhole && asOf >= this.#level.position : isWhole;
    const { message, isProgress } = newest.told(this.#has, fresh, isHidden);
    if (isProgress && fresh === this.#sentFresh) {
      if (asOf === this.#sentPosition) return;
      if (this.topic.now() - this.#sentAt < progressMs) return this.topic.offerLater();
    }
    this.#has = isHidden ? hidden : newest;
    this.#floor = asOf;
    this.#sentPosition = asOf;
    this.#sentFresh = fresh;
    this.#sentAt = this.topic.now();
    messages.push(message);
  }

  /** Where it goes on after what was sent so far; `undefined` before anything was. */
  get cursor(): string | undefined {
    if (this.#has === undefined) return undefined;
    const { target, version } = this.topic;
    const tags = this.#has instanceof Newest ? this.#has.tags : [...this.#has];
    return cursorText({ target, epoch: this.#epoch, version, position: this.#floor, tags });
  }

  /** Ends it with a problem. */
  refuse(problem: Readonly<Record<string, unknown>>): void {
    if (this.#isEnded) return;
    this.#outlet.send(Message.of({ error: problem }), this.id);
    this.end();
    this.#outlet.ended(this);
  }

  end(): void {
    this.#isEnded = true;
    this.topic.leave(this);
  }

  /** `undefined` when the watch has ended by that, after the `messages` before it. */
  #isHidden(newest: Newest, messages: Message[]): boolean | undefined {
    const { shows } = this.#grant;
    if (!shows) return false;
    try {
      if (newest.isShown(shows)) return false;
    } catch (error) {
      this.#say(messages.splice(0));
      this.#outlet.failed(this, error); // the policy's failure about one caller is not everybody's
      return undefined;
    }
    const { unseen } = this.topic;
    if (!unseen) return true;
    this.#say(messages.splice(0));
    this.#outlet.failed(this, unseen());
    return undefined;
  }

  // What this process has looked at may be older than what the watcher saw elsewhere. Only a cursor past the head of the log is of another history.
  async #doubt(): Promise<void> {
    if (this.#isDoubting) return;
    this.#isDoubting = true;
    const epoch = this.#epoch;
    const head = await this.topic.head().catch(() => undefined);
    this.#isDoubting = false;
    if (head === undefined || head >= this.#floor || this.#isEnded || epoch !== this.#epoch) return;
    this.#outlet.send(this.#reset(epoch), this.id);
    this.offer();
  }

  #reset(epoch: string): Message {
    if (this.#level && epoch !== this.#epoch) {
      this.#level = { ...this.#level, isWhole: false }; // its position is one of the other history
      this.#outlet.moved(this);
    }
    this.#epoch = epoch;
    this.#floor = 0;
    this.#has = undefined;
    this.#sentPosition = -1;
    return Message.of({ reset: "history" satisfies live.ResetReason });
  }
}

function known({ newest }: Topic): readonly Newest[] {
  return newest ? [newest] : [];
}

const resumed = Message.of({ resumed: true });
