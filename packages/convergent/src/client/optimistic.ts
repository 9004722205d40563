/**
 * Commands whose effect is shown before it has happened, and the watches that show it. Which value a watch shows is worked out by
 * `layers.ts`; this file tells every watch what happens, and sends the commands: those that concern the same entity or lie over the
 * same value one after another, so that they take effect in the order in which they are shown.
 */
import { isConvergentError } from "../errors/error.ts";
import type { CancelSignal } from "../host/host.ts";
import { mergeTokens, type Token } from "../position/token.ts";
import { throwIfCancelled } from "./cancellation.ts";
import type { Overlay, RemoteAccepted, RemoteOutcome, RemoteState, Shown } from "./facade.ts";
import {
  after,
  type Happening,
  type Layer,
  type Layered,
  laidOver,
  looksLike,
  type Progress,
  type Refusal,
  survivorOf,
  unread,
  withoutPast,
} from "./layers.ts";
import type { HistoryLost } from "./session.ts";
import type { FollowOptions, News, WatchSource, WatchTarget } from "./watch-source.ts";

type Outcome = RemoteOutcome<unknown>;
export type SightTarget = Exclude<WatchTarget, { readonly kind: "saga" }>;

/** A command to be shown before it has happened. */
export interface Optimistic {
  readonly id: string;
  readonly entity: string;
  readonly entityId: string;
  readonly overlays: readonly Overlay[];
  /** Sends it under its id. */
  readonly send: () => Promise<Outcome>;
  readonly signal?: CancelSignal | undefined;
}

interface Given extends Optimistic {
  progress: Progress;
  /** Resolves when its last attempt has come to an end, whichever. */
  settled: Promise<unknown>;
  /** Overlays of which a watch has shown the value that holds them. */
  readonly confirmed: Set<Overlay>;
}

/** One run of a watch. */
interface Sight {
  readonly target: SightTarget;
  readonly isLayered: boolean;
  state: Layered;
  readonly changed: (before: Layered) => void;
  readonly failed: (error: unknown) => void;
}

/** Commands that are remembered after their answer, for watches that are opened later or have not caught up. */
const answeredMax = 200;
/** Targets of which it is remembered how new the value was that was shown last. */
const reachedMax = 1000;

export class Overlays {
  readonly #source: WatchSource;
  readonly #commands = new Map<string, Given>();
  readonly #sights = new Set<Sight>();
  readonly #reached = new Map<string, Token>();

  constructor(source: WatchSource) {
    this.#source = source;
  }

  /**
   * Shows a command at once and sends it; one whose outcome is unknown, under the same id again, just sends. Answers and throws what
   * sending does.
   */
  give(optimistic: Optimistic): Promise<Outcome> {
    const known = this.#commands.get(optimistic.id);
    // It is on its way, or was accepted: its layer goes by that, and the gateway gives the same answer again.
    if (known && known.progress.kind !== "unknown") return optimistic.send();
    const given: Given = known ?? { ...optimistic, progress: { kind: "waiting" }, settled: Promise.resolve(), confirmed: new Set() };
    const earlier = [...this.#commands.values()]
      .filter((other) => other !== given && isRelated(other, given))
      .map(({ settled }) => settled);
    if (!known) {
      this.#commands.set(given.id, given);
      this.#tell(({ target, isLayered }) =>
        isLayered && touches(given, target) ? [{ kind: "given", layer: layerOf(given, target) }] : [],
      );
    }
    const outcome = Promise.all(earlier).then(() => this.#send(given, optimistic));
    given.settled = outcome.catch(() => undefined);
    return outcome;
  }

  /** What a store no longer has is not waited for. */
  lost(lost: HistoryLost): void {
    for (const [target, token] of this.#reached) this.#reached.set(target, withoutPast(token, lost));
    for (const given of [...this.#commands.values()]) {
      const progress = survivorOf(given.progress, lost);
      if (progress) given.progress = progress;
      else this.#commands.delete(given.id);
    }
    this.#tell(() => [{ kind: "restored", lost }]);
  }

  /** The readings of a target, none older than one that was shown before. Throws what the source throws. */
  async read(target: SightTarget, options: FollowOptions, put: (reading: unknown) => void): Promise<void> {
    await this.#see({ target, isLayered: false }, options, {
      changed: (state, before) => {
        if (state.base && state.base !== before.base) put(state.base.reading);
      },
      failed: () => undefined,
    });
  }

  /** The values of a target with what is laid over them. Throws what the source and what an overlay throws. */
  async show(
    target: SightTarget,
    options: FollowOptions,
    told: { readonly put: (shown: Shown<unknown, unknown>) => void; readonly failed: (error: unknown) => void },
  ): Promise<void> {
    await this.#see({ target, isLayered: true }, options, {
      changed: (state, before) => {
        if (state.base && !looksLike(state, before)) told.put(shownOf(state, target));
      },
      failed: told.failed,
    });
  }

  async #see(
    { target, isLayered }: Pick<Sight, "target" | "isLayered">,
    options: FollowOptions,
    told: { readonly changed: (state: Layered, before: Layered) => void; readonly failed: (error: unknown) => void },
  ): Promise<void> {
    const name = JSON.stringify(nameOf(target));
    const sight: Sight = {
      target,
      isLayered,
      state: unread(this.#reached.get(name)),
      changed: (before) => told.changed(sight.state, before),
      failed: told.failed,
    };
    if (isLayered)
      for (const given of this.#commands.values())
        if (touches(given, target)) sight.state = after(sight.state, { kind: "given", layer: layerOf(given, target) });
    this.#sights.add(sight);
    try {
      for await (const news of this.#source.follow(target, options)) {
        this.#happen(sight, [{ kind: "read", news }]);
        this.#remember(name, sight.state.reached);
        this.#forgetAnswered();
      }
    } finally {
      this.#sights.delete(sight);
      this.#forgetAnswered();
    }
  }

  async #send(given: Given, { send, signal }: Optimistic): Promise<Outcome> {
    let outcome: Outcome;
    const isAgain = given.progress.kind === "unknown";
    try {
      throwIfCancelled(signal);
      this.#progress(given, { kind: "sent" });
      outcome = await send();
    } catch (error) {
      // After an unknown outcome no failure tells what became of the first attempt.
      if (isAgain || (given.progress.kind === "sent" && isUnknown(error))) this.#progress(given, { kind: "unknown" });
      else this.#refuse(given, { kind: "failed", error: error instanceof Error ? error : new Error(String(error)) });
      throw error;
    }
    if (outcome.kind === "accepted") this.#progress(given, { kind: "accepted", token: outcome.token }, stateNews(outcome));
    else if (outcome.kind === "conflict") this.#refuse(given, { kind: "conflict", conflict: outcome });
    else this.#refuse(given, { kind: "rejected", reason: outcome.reason });
    return outcome;
  }

  #progress(given: Given, progress: Progress, news?: News): void {
    given.progress = progress;
    this.#tell(({ target }) => [
      ...(touches(given, target) ? [{ kind: "progressed", id: given.id, progress } as const] : []),
      ...(news && isOfEntity(given, target) ? [{ kind: "read", news } as const] : []),
    ]);
    this.#forgetAnswered();
  }

  #refuse(given: Given, refusal: Refusal): void {
    this.#commands.delete(given.id);
    this.#tell(() => [{ kind: "refused", id: given.id, refusal }]);
  }

  #tell(happenings: (sight: Sight) => readonly Happening[]): void {
    for (const sight of [...this.#sights]) {
      try {
        this.#happen(sight, happenings(sight));
      } catch (error) {
        // An overlay that throws ends the watch that it lies over, and nobody else's.
        sight.failed(error);
      }
    }
  }

  #happen(sight: Sight, happenings: readonly Happening[]): void {
    const before = sight.state;
    sight.state = happenings.reduce(after, before);
    if (sight.state !== before) sight.changed(before);
  }

  #remember(name: string, reached: Token): void {
    const known = this.#reached.get(name);
    this.#reached.delete(name);
    this.#reached.set(name, known ? mergeTokens(known, reached) : reached);
    const [oldest] = this.#reached.keys();
    if (this.#reached.size > reachedMax && oldest !== undefined) this.#reached.delete(oldest);
  }

  // An accepted command is done with when each value that it lies over was shown with it, and no open watch waits for that.
  #forgetAnswered(): void {
    const layered = [...this.#sights].filter(({ isLayered, state }) => isLayered && state.base);
    let answered = 0;
    for (const given of [...this.#commands.values()].reverse()) {
      if (given.progress.kind === "waiting" || given.progress.kind === "sent") continue;
      answered++;
      const watched = layered.filter(({ target }) => touches(given, target));
      const waiting = watched.filter(({ state }) => state.layers.some(({ id }) => id === given.id));
      if (given.progress.kind === "accepted")
        for (const overlay of given.overlays)
          if (watched.some((sight) => liesOver(overlay, sight.target) && !waiting.includes(sight))) given.confirmed.add(overlay);
      const isConfirmed = waiting.length === 0 && given.overlays.every((overlay) => given.confirmed.has(overlay));
      if (isConfirmed || (answered > answeredMax && waiting.length === 0)) this.#commands.delete(given.id);
    }
  }
}

function shownOf(state: Layered, target: SightTarget): Shown<unknown, unknown> {
  const { layers, refusal, base } = state;
  const laid = laidOver(state) as { readonly value?: unknown; readonly state?: unknown };
  const isUnknown = layers.some(({ progress }) => progress.kind === "unknown");
  return {
    value: target.kind === "entity" ? laid.state : laid.value,
    pending: layers.length,
    status: isUnknown ? "unknown" : layers.length > 0 ? "pending" : (refusal?.kind ?? "confirmed"),
    ...(refusal ? { refusal } : {}),
    ...(refusal?.kind === "conflict" ? { conflict: refusal.conflict } : {}),
    reading: (base as News).reading,
  };
}

function layerOf({ id, progress, overlays: all }: Given, target: SightTarget): Layer {
  const overlays = all.filter((overlay) => liesOver(overlay, target));
  return { id, progress, lay: (reading) => overlays.reduce((laid, overlay) => lay(laid, overlay, target), reading) };
}

function lay(reading: unknown, { key, apply }: Overlay, { kind }: SightTarget): unknown {
  const laid = reading as { readonly value?: unknown; readonly state?: unknown };
  if (kind === "entity") return { ...laid, state: apply(laid.state as never) };
  if (kind === "document") return { ...laid, value: apply(laid.value as never) };
  const found = laid.value as ReadonlyArray<{ readonly key: string; readonly value: unknown }>;
  const value = found
    .map((item) => (item.key === key ? { key, value: apply(item.value as never) } : item))
    .filter((item) => item.value !== undefined);
  return { ...laid, value };
}

function liesOver({ part, key }: Overlay, target: SightTarget): boolean {
  switch (target.kind) {
    case "document":
      return target.view.key === part && target.key === key;
    case "query":
      return target.view.key === part;
    case "entity":
      return target.entity.key === part && target.id === key;
  }
}

function isOfEntity({ entity, entityId }: Optimistic, target: SightTarget): boolean {
  return target.kind === "entity" && target.entity.key === entity && target.id === entityId;
}

function touches({ overlays }: Optimistic, target: SightTarget): boolean {
  return overlays.some((overlay) => liesOver(overlay, target));
}

// Whatever is on its way for the same entity, or lies over the same value.
function isRelated(one: Optimistic, other: Optimistic): boolean {
  if (one.entity === other.entity && one.entityId === other.entityId) return true;
  return one.overlays.some(({ part, key }) => other.overlays.some((overlay) => overlay.part === part && overlay.key === key));
}

function nameOf(target: SightTarget): readonly unknown[] {
  switch (target.kind) {
    case "document":
      return [target.kind, target.view.name, target.key];
    case "query":
      return [target.kind, target.view.name, target.where, target.page];
    case "entity":
      return [target.kind, target.entity.name, target.id];
  }
}

// Whoever gave it up does not know whether it took effect.
function isUnknown(error: unknown): boolean {
  return !isConvergentError(error) || error.code === "outcome_unknown";
}

// The answer holds the entity's state: nobody needs to read it back. Whoever may not read the entity gets none.
function stateNews({ state, version, pending, token }: RemoteAccepted<unknown>): News | undefined {
  if (state === undefined) return undefined;
  const reading: RemoteState<unknown> = { state, version, pending, token, fresh: true };
  return { reading, at: token, covers: token };
}
