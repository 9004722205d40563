/**
 * What the stream of each saga must be: it begins once and ends once; a step runs, and is undone, after it was said that it will be; what
 * was done, or may have been, is undone once, in reverse order; and whoever lost the saga to another process writes nothing any more (R3).
 */
import type { Facts, Told } from "../../sagas/facts.ts";
import type { HistoryRecord, Violation } from "../history.ts";
import { sagaName, type Story } from "./saga-stories.ts";

export function checkSagas(history: Iterable<HistoryRecord>, stories: readonly Story[]): Violation[] {
  const writers = new Map<string, string>();
  // Processes whose clocks go wrong agree on no time.
  let hasTime = true;
  for (const record of history) {
    if (record.kind === "commit") for (const event of record.events) writers.set(`${record.store} ${event}`, record.process);
    if (record.kind === "fault" && record.fault.startsWith("clock")) hasTime = false;
  }
  return stories.flatMap((story) => {
    const found = [...new Reading(story, hasTime).read(), ...twoWriters(story, (event) => writers.get(`${story.store} ${event}`))];
    return found.map((message) => ({ checker: "sagas", message: `${sagaName(story)}: ${message}` }));
  });
}

type Of<Name extends keyof Facts> = Extract<Told, { readonly name: Name }>;

interface Step {
  readonly name: string;
  readonly undo: boolean;
  /** When it is over at the earliest, unless something comes. */
  readonly until: number;
  ended: "no" | "done" | "refused" | "failed" | "unknown";
  isUndoing: boolean;
  isUndone: boolean;
}

/** One story, read from its beginning. */
class Reading {
  readonly #facts: readonly Told[];
  readonly #found: string[] = [];
  readonly #steps = new Map<string, Step>();
  #status: "none" | "running" | "undoing" | "parked" | "ended" = "none";
  /** Whether it was being undone when it was parked. */
  #wasUndoing = false;
  #isCancelled = false;

  readonly #hasTime: boolean;

  constructor({ facts }: Story, hasTime: boolean) {
    this.#facts = facts;
    this.#hasTime = hasTime;
  }

  read(): string[] {
    for (const [index, fact] of this.#facts.entries()) this.#read(fact, this.#facts[index + 1]);
    return this.#found;
  }

  #wrong(fact: Told, what: string): void {
    this.#found.push(`version ${fact.version}, "${fact.name}": ${what}`);
  }

  #read(fact: Told, next: Told | undefined): void {
    if (fact.name === "started") {
      if (this.#status !== "none") this.#wrong(fact, "it was started before");
      this.#status = "running";
      return;
    }
    if (this.#status === "none") this.#wrong(fact, "it was not started");
    if (fact.name === "reverted") return this.#revert(fact);
    if (this.#status === "ended") this.#wrong(fact, "it had ended");
    if (this.#status === "parked" && fact.name !== "resumed" && !(isResolving(fact) && (next?.name === "resumed" || isResolving(next))))
      this.#wrong(fact, "it was parked, and nobody had it go on");
    switch (fact.name) {
      case "taken":
      case "offered":
      case "held":
      case "due":
        return;
      case "signalled":
      case "cancelled":
        if (this.#status !== "running") this.#wrong(fact, "it hears of nothing any more");
        this.#isCancelled ||= fact.name === "cancelled";
        return;
      case "resumed":
        if (this.#status !== "parked") this.#wrong(fact, "it was not parked");
        this.#status = this.#wasUndoing ? "undoing" : "running";
        return;
      case "parked":
        this.#status = "parked";
        return;
      case "completed":
      case "compensated":
        return this.#end(fact);
      case "undoing":
        return this.#turn(fact);
      default:
        return this.#step(fact);
    }
  }

  /** A parent has it undo what it had completed. */
  #revert(fact: Of<"reverted">): void {
    if (this.#status !== "ended" || this.#wasUndoing) this.#wrong(fact, "it had not completed");
    this.#status = "undoing";
    this.#wasUndoing = true;
  }

  #turn(fact: Told): void {
    if (this.#wasUndoing) this.#wrong(fact, "it was being undone before");
    this.#requireEnds(fact);
    this.#status = "undoing";
    this.#wasUndoing = true;
  }

  #end(fact: Of<"completed"> | Of<"compensated">): void {
    const isUndone = fact.name === "compensated";
    if (!isUndone && this.#isCancelled) this.#wrong(fact, "it was cancelled before");
    if (isUndone !== this.#wasUndoing) this.#wrong(fact, isUndone ? "nothing was being undone" : "it was being undone");
    this.#requireEnds(fact);
    if (isUndone) for (const step of this.#steps.values()) if (isOwed(step)) this.#wrong(fact, `"${step.name}" was not undone`);
    this.#status = "ended";
  }

  #requireEnds(fact: Told): void {
    for (const { name, ended } of this.#steps.values()) if (ended === "no") this.#wrong(fact, `"${name}" had not ended`);
  }

  #step(fact: Of<"begun" | "retried" | "done" | "failed" | "undo-begun" | "undo-retried" | "undone">): void {
    const { step: name } = fact.data;
    const step = this.#steps.get(name);
    if (fact.name === "begun") {
      if (step) this.#wrong(fact, `"${name}" was begun before`);
      if (this.#wasUndoing) this.#wrong(fact, `"${name}" is begun while what was done is undone`);
      const { undo, timeout } = fact.data;
      const until = timeout === undefined ? (fact.data.until ?? 0) : fact.at + timeout;
      this.#steps.set(name, { name, undo, until, ended: "no", isUndoing: false, isUndone: false });
    } else if (!step) this.#wrong(fact, `"${name}" was not begun`);
    else if (fact.name === "retried" || fact.name === "done" || fact.name === "failed") {
      if (step.ended !== "no") this.#wrong(fact, `"${name}" had ended`);
      if (fact.name !== "retried") step.ended = fact.name === "done" ? "done" : fact.data.outcome;
      if (fact.name === "done" && fact.data.result === undefined && fact.at < step.until && this.#hasTime)
        this.#wrong(fact, `"${name}" was to last until ${step.until}, and it was ${fact.at}`);
    } else this.#undo(fact, step);
  }

  #undo(fact: Of<"undo-begun" | "undo-retried" | "undone">, step: Step): void {
    const { name } = step;
    if (!this.#wasUndoing) this.#wrong(fact, `"${name}" is undone, and nothing says that the saga is`);
    if (step.isUndone) this.#wrong(fact, `"${name}" was undone before`);
    if (fact.name === "undo-begun") {
      if (!isOwed(step)) this.#wrong(fact, step.undo ? `"${name}" had no effect` : `"${name}" was begun without an undo`);
      const later = [...this.#steps.values()].reverse();
      for (const other of later.slice(0, later.indexOf(step)))
        if (isOwed(other)) this.#wrong(fact, `"${other.name}" came after "${name}" and is not undone yet`);
      step.isUndoing = true;
      return;
    }
    if (!step.isUndoing) this.#wrong(fact, `nothing says that "${name}" will be undone`);
    if (fact.name === "undo-retried") return;
    if (fact.data.how === "void" && step.ended !== "unknown") this.#wrong(fact, `"${name}" was voided, and known to be over`);
    step.isUndone = true;
  }
}

/** What had its effect, or may have, and was not undone. */
function isOwed({ undo, ended, isUndone }: Step): boolean {
  return undo && ended !== "refused" && !isUndone;
}

function isResolving(fact: Told | undefined): boolean {
  return fact?.name === "undone" && fact.data.how === "resolved";
}

/** Facts that were committed by another process than the one that the saga is. Who committed what nobody lived to see is not known. */
function twoWriters({ facts, events }: Story, writerOf: (event: string) => string | undefined): string[] {
  let owner: string | undefined;
  return facts.flatMap((fact, index) => {
    const writer = writerOf(events[index]?.id ?? "");
    if (fact.name === "started" || fact.name === "taken" || fact.name === "resumed" || fact.name === "reverted") {
      owner = writer;
      return [];
    }
    const isTold = fact.name === "signalled" || fact.name === "cancelled" || isResolving(fact);
    if (isTold || owner === undefined || writer === undefined || writer === owner) return [];
    return [`version ${fact.version}, "${fact.name}": ${writer} wrote it, and the saga is ${owner}'s`];
  });
}
