/**
 * Sagas and what their steps did, as far as it is found by the ids that they sent on as the ids of commands: a step and its undo took effect
 * once at most, the step first and after the saga had said that it will run; and what was refused, or voided in time, never did. Steps at
 * another service are judged as long as no older copy took the place of its store or the saga's.
 */
import type { Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";
import { factsNamed, sagaName, type Story } from "./saga-stories.ts";

/** Events that one append caused. */
interface Effect {
  readonly store: string;
  readonly lineage: number;
  readonly position: number;
}

export function checkSagaEffects(lineages: Lineages, stories: readonly Story[]): Violation[] {
  const effects = new Effects(lineages, new Set(stories.map(({ saga }) => saga)));
  return stories.flatMap((story) => {
    const messages = [...factsNamed(story, "begun").flatMap(({ step }) => wrongs(story, step, effects)), ...unsaid(story, effects)];
    return messages.map((message) => ({ checker: "saga effects", message: `${sagaName(story)}: ${message}` }));
  });
}

function wrongs(story: Story, step: string, effects: Effects): string[] {
  const found: string[] = [];
  const done = effects.of(story, step);
  const undone = effects.of(story, `${step}/undo`);
  for (const [what, all] of [
    [`"${step}"`, done],
    [`the undo of "${step}"`, undone],
  ] as const) {
    const stores = new Set(all.map(({ store }) => store));
    for (const store of stores) {
      const times = all.filter((each) => each.store === store).length;
      if (times > 1) found.push(`${what} took effect ${times} times in ${store}`);
    }
  }
  const end = factsNamed(story, "failed").find((each) => each.step === step);
  if (end?.outcome === "refused" && done.length > 0) found.push(`"${step}" was refused, and ${placeOf(done)}`);
  const how = factsNamed(story, "undone").find((each) => each.step === step)?.how;
  if (how === "void" && done.length > 0) found.push(`"${step}" was voided, and ${placeOf(done)}`);
  for (const each of undone) {
    const late = done.find(({ store, position }) => store === each.store && position > each.position);
    if (late) found.push(`"${step}" arrived after its undo: ${placeOf([late])}, and its undo at ${each.position}`);
  }
  return found;
}

/** Effects that the saga had not said before that they would be. Positions are compared within its own store only. */
function unsaid(story: Story, effects: Effects): string[] {
  const said = new Map<string, number>();
  for (const [index, fact] of story.facts.entries()) {
    const position = story.events[index]?.position ?? 0;
    if (fact.name === "begun") said.set(fact.data.step, position);
    if (fact.name === "undo-begun" && !said.has(`${fact.data.step}/undo`)) said.set(`${fact.data.step}/undo`, position);
  }
  return effects.within(story).flatMap(([step, all]) => {
    const from = said.get(step) ?? Number.POSITIVE_INFINITY;
    const early = all.filter(({ store, position }) => (store === story.store ? position < from : from === Number.POSITIVE_INFINITY));
    return early.length > 0 ? [`"${step}" was not said to run, and ${placeOf(early)}`] : [];
  });
}

function placeOf(effects: readonly Effect[]): string {
  return `it is there at ${effects.map(({ store, position }) => `${position} of ${store}`).join(", ")}`;
}

class Effects {
  readonly #lineages: Lineages;
  /** By store and lineage, then by the saga, then by the step. */
  readonly #byLog = new Map<string, Map<string, Effect[]>>();

  constructor(lineages: Lineages, sagas: ReadonlySet<string>) {
    this.#lineages = lineages;
    for (const store of lineages.stores)
      for (const lineage of lineages.of(store).keys()) this.#byLog.set(`${store} ${lineage}`, this.#read(store, lineage, sagas));
  }

  of(story: Story, step: string): Effect[] {
    return this.#logs(story).flatMap((log) => log.get(`${story.saga}/${story.id}/${step}`) ?? []);
  }

  /** All effects of a saga, by step. */
  within(story: Story): Array<[string, Effect[]]> {
    const prefix = `${story.saga}/${story.id}/`;
    return this.#logs(story).flatMap((log) =>
      [...log].flatMap(([cause, all]): Array<[string, Effect[]]> => (cause.startsWith(prefix) ? [[cause.slice(prefix.length), all]] : [])),
    );
  }

  #logs({ store, lineage }: Story): Array<Map<string, Effect[]>> {
    const isWhole = (name: string): boolean => this.#lineages.of(name).length === 1;
    const others = isWhole(store) ? [...this.#lineages.stores].filter((name) => name !== store && isWhole(name)) : [];
    return [`${store} ${lineage}`, ...others.map((name) => `${name} 0`)].flatMap((log) => this.#byLog.get(log) ?? []);
  }

  #read(store: string, lineage: number, sagas: ReadonlySet<string>): Map<string, Effect[]> {
    const found = new Map<string, Effect[]>();
    let last: { readonly cause: string; readonly position: number } | undefined;
    for (const { metadata, position, type } of this.#lineages.of(store)[lineage]?.events ?? []) {
      const { cause } = JSON.parse(metadata) as { cause?: string };
      if (cause === undefined || sagas.has(type.slice(0, type.indexOf("."))) || !sagas.has(cause.slice(0, cause.indexOf("/")))) continue;
      const goesOn = last?.cause === cause && last.position === position - 1;
      last = { cause, position };
      if (!goesOn) found.set(cause, [...(found.get(cause) ?? []), { store, lineage, position }]);
    }
    return found;
  }
}
