/**
 * What is known of a subject now, and the messages that tell it to those who know less. Each message is made once and sent to everybody
 * who lacks the same.
 */
import type { live } from "convergent";
import { cursorText, tagOf } from "./cursor.ts";
import { Message } from "./message.ts";

/** What a watcher has: what it was sent last, the tags in the cursor that it came with, or nothing. */
export type Has = Newest | ReadonlySet<string> | undefined;

/** Where an answer stands. */
export interface Standing {
  readonly target: string;
  readonly epoch: string;
  /** Version of the view's definition; 0 of what has none. */
  readonly version: number;
  readonly asOf: number;
  /** As of the head of the log. */
  readonly isWhole: boolean;
  readonly token: string;
  /** Of views. */
  readonly behind?: { readonly positions: number; readonly ms: number };
}

export interface Told {
  readonly message: Message;
  /** Only the position has advanced. */
  readonly isProgress: boolean;
}

export abstract class Newest {
  readonly standing: Standing;
  abstract readonly tags: readonly string[];
  /** By what the receivers have in common: words, or the state that they have, which is not kept for that. */
  readonly #messages = new Map<string, Message>();
  readonly #messagesFrom = new WeakMap<object, Message>();

  constructor(standing: Standing) {
    this.standing = standing;
  }

  /** The news for somebody who has `has`; `hidden`: what it must not see. */
  abstract told(has: Has, fresh: boolean, hidden: boolean): Told;

  /** Whether somebody for whom `shows` judges may see it. */
  abstract isShown(shows: (value: unknown) => boolean): boolean;

  protected known(key: string | object, make: () => Message): Message {
    const known = typeof key === "string" ? this.#messages.get(key) : this.#messagesFrom.get(key);
    if (known) return known;
    const message = make();
    if (typeof key === "string") this.#messages.set(key, message);
    else this.#messagesFrom.set(key, message);
    return message;
  }

  protected progress(fresh: boolean, tags: readonly string[]): Told {
    return { message: this.known(`progress ${fresh} ${tags.join("")}`, () => new Message(this.label(fresh, tags))), isProgress: true };
  }

  protected label(fresh: boolean, tags: readonly string[]): string {
    const { target, epoch, version, asOf, token, behind } = this.standing;
    const cursor = cursorText({ target, epoch, version, position: asOf, tags });
    const distance = behind ? `,"behind":{"positions":${behind.positions},"ms":${behind.ms}}` : "";
    return `"asOf":${asOf},"fresh":${fresh},"cursor":"${cursor}","token":"${token}"${distance}`;
  }
}

/** Members of the message beside its value and its label. */
export type Rest = Omit<live.ValueNews, keyof live.Label | "value">;

export interface ValueParts {
  readonly rest: Rest;
  /** What else makes a difference to who watches. */
  readonly parts?: string;
  /** Of a subject that is not there. */
  readonly absent?: Rest;
  /** What is judged whether it may be seen; what the text says unless it is given. */
  readonly seen?: unknown;
}

/** A document, a state or a saga. */
export class NewestValue extends Newest {
  readonly #text: string;
  readonly #rest: string;
  readonly #absent: string;
  readonly #tag: string;
  #value: { readonly parsed: unknown } | undefined;

  /** `text`: the value in JSON. */
  constructor(standing: Standing, text: string, { rest, parts = "", absent = {}, seen }: ValueParts) {
    super(standing);
    this.#text = text;
    this.#rest = membersOf(rest);
    this.#absent = membersOf(absent);
    this.#tag = tagOf(text + parts);
    if (seen !== undefined) this.#value = { parsed: seen };
  }

  get tags(): readonly string[] {
    return [this.#tag];
  }

  isShown(shows: (value: unknown) => boolean): boolean {
    this.#value ??= { parsed: JSON.parse(this.#text) as unknown };
    return this.#value.parsed === null || shows(this.#value.parsed);
  }

  told(has: Has, fresh: boolean, hidden: boolean): Told {
    const tag = hidden ? hiddenTag : this.#tag;
    const known = has instanceof Newest ? has.tags.includes(tag) : has?.has(tag);
    if (known) return this.progress(fresh, [tag]);
    const message = this.known(`${fresh} ${hidden}`, () => {
      const rest = hidden ? this.#absent : this.#rest;
      return new Message(`"value":${hidden ? "null" : this.#text},${this.label(fresh, [tag])}${rest === "" ? "" : `,${rest}`}`);
    });
    return { message, isProgress: false };
  }
}

function membersOf(rest: Rest): string {
  return JSON.stringify(rest).slice(1, -1);
}

// As of what is not there: who may not see it cannot tell the two apart.
const hiddenTag = tagOf("null");

/** What may not be seen, as its receiver has it. */
export const hidden: ReadonlySet<string> = new Set([hiddenTag]);

/** A document of a page. */
export interface Item {
  readonly key: string;
  /** In JSON. */
  readonly text: string;
}

/** The first page of a query. */
export class NewestPage extends Newest {
  readonly items: ReadonlyMap<string, { readonly text: string; readonly tag: string }>;
  readonly tags: readonly string[];
  readonly #rest: string;

  constructor(standing: Standing, items: readonly Item[], rest: Omit<live.PageNews, keyof live.Label | "changed" | "gone" | "keys">) {
    super(standing);
    this.items = new Map(items.map(({ key, text }) => [key, { text, tag: tagOf(`${JSON.stringify(key)}${text}`) }]));
    this.tags = [...this.items.values()].map(({ tag }) => tag);
    this.#rest = JSON.stringify(rest).slice(1, -1);
  }

  #isSame(other: NewestPage): boolean {
    return isSame(other.tags, this.tags) && other.#rest === this.#rest;
  }

  // Whoever asks a query is narrowed by its conditions, and sees what it finds.
  isShown(): boolean {
    return true;
  }

  told(has: Has, fresh: boolean): Told {
    if (has instanceof NewestPage && this.#isSame(has)) return this.progress(fresh, this.tags);
    if (has instanceof NewestPage) return { message: this.#diff(has, fresh), isProgress: false };
    // Who comes back is told all keys: whether they stand in another order now, its cursor does not say.
    const tags = has instanceof Newest ? new Set(has.tags) : has;
    const body = this.#body(fresh, {
      changed: [...this.items].filter(([, { tag }]) => !tags?.has(tag)),
      gone: [],
      keys: [...this.items.keys()],
    });
    return { message: new Message(body), isProgress: false };
  }

  #diff(has: NewestPage, fresh: boolean): Message {
    // One key for each of the two: the page itself and its items.
    return this.known(fresh ? has : has.items, () => {
      const before = [...has.items.keys()];
      const now = [...this.items.keys()];
      return new Message(
        this.#body(fresh, {
          changed: [...this.items].filter(([key, { tag }]) => has.items.get(key)?.tag !== tag),
          gone: before.filter((key) => !this.items.has(key)),
          keys: isSame(before, now) ? undefined : now,
        }),
      );
    });
  }

  #body(
    fresh: boolean,
    {
      changed,
      gone,
      keys,
    }: {
      readonly changed: ReadonlyArray<[string, { readonly text: string }]>;
      readonly gone: readonly string[];
      readonly keys: readonly string[] | undefined;
    },
  ): string {
    const values = changed.map(([key, { text }]) => `{"key":${JSON.stringify(key)},"value":${text}}`).join(",");
    return [
      `"changed":[${values}]`,
      ...(gone.length > 0 ? [`"gone":${JSON.stringify(gone)}`] : []),
      ...(keys ? [`"keys":${JSON.stringify(keys)}`] : []),
      this.label(fresh, this.tags),
      ...(this.#rest === "" ? [] : [this.#rest]),
    ].join(",");
  }
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((value, index) => value === others[index]);
}
