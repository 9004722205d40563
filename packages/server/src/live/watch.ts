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
  /** There was no room: to be offered again when there is. */
  late(watch: Watch): void;
  /** The watch has ended. */
  ended(watch: Watch): void;
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
      this.#outlet.send(resumed, this.id);
    } else this.#outlet.send(Message.of({ reset: verdict.reset }), this.id);
    this.offer();
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

  /** Tells what its topic knows by now, if that is news. Answers whether something is left to be told later. */
  offer(): boolean {
    const { newest } = this.topic;
    if (!newest || this.#isEnded) return false;
    if (this.#outlet.isFull) {
      this.#outlet.late(this);
      return false;
    }
    const { asOf, epoch, isWhole } = newest.standing;
    if (epoch !== this.#epoch || (asOf < this.#floor && isWhole)) this.#reset(epoch);
    if (asOf < this.#floor) return false; // it has seen more already, elsewhere
    const fresh = this.#level ? this.#level.isWhole && asOf >= this.#level.position : isWhole;
    const isHidden = this.#grant.shows !== undefined && !newest.isShown(this.#grant.shows);
    const { message, isProgress } = newest.told(this.#has, fresh, isHidden);
    if (isProgress && fresh === this.#sentFresh) {
      if (asOf === this.#sentPosition) return false;
      if (this.topic.now() - this.#sentAt < progressMs) return true;
    }
    this.#has = isHidden ? hidden : newest;
    this.#floor = asOf;
    this.#sentPosition = asOf;
    this.#sentFresh = fresh;
    this.#sentAt = this.topic.now();
    this.#outlet.send(message, this.id);
    return false;
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

  #reset(epoch: string): void {
    this.#epoch = epoch;
    this.#floor = 0;
    this.#has = undefined;
    this.#sentPosition = -1;
    this.#outlet.send(Message.of({ reset: "history" satisfies live.ResetReason }), this.id);
  }
}

const resumed = Message.of({ resumed: true });
