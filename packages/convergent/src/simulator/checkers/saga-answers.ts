/**
 * What was answered about sagas: one that was started is there, once, with the input that was asked; what it was told is in its stream; and
 * whoever looks at it is shown what its stream says, later looks no less than earlier ones, and nothing twice to who knows it already.
 */
import { sameJson } from "../../merge/same-json.ts";
import type { SagaState } from "../../protocol/saga.ts";
import { shown } from "../../sagas/facts.ts";
import type { Failed, HistoryRecord, Invoked, SagaOk, ShownSaga, ToldOk, Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";
import { factsNamed, sagaName, type Story } from "./saga-stories.ts";

/** Of what was told the fact that is written. */
const written: Readonly<Record<string, string>> = {
  start: "started",
  signal: "signalled",
  cancel: "cancelled",
  retry: "resumed",
  resolve: "resumed",
};

export function checkSagaAnswers(
  history: Iterable<HistoryRecord>,
  lineages: Lineages,
  { stories, storeOf }: { readonly stories: readonly Story[]; readonly storeOf: (name: string) => string | undefined },
): Violation[] {
  const answers = new Answers(lineages, stories, storeOf);
  for (const record of history) answers.note(record);
  return [...answers.found, ...toldTwice(stories, answers.ids)].map((message) => ({ checker: "saga answers", message }));
}

/** What was seen of a saga, when, and in which lineage. */
interface Seen {
  readonly t: number;
  readonly lineage: number;
  readonly version: number;
}

class Answers {
  readonly found: string[] = [];
  /** Under which sagas were told something. */
  readonly ids = new Set<string>();
  readonly #lineages: Lineages;
  readonly #storeOf: (name: string) => string | undefined;
  readonly #stories = new Map<string, Story[]>();
  readonly #states = new Map<Story, ShownSaga[]>();
  readonly #invoked = new Map<number, Invoked>();
  /** By saga: when it was first known to be there. */
  readonly #started = new Map<string, Seen>();
  readonly #starts = new Map<Story, number>();
  /** By session and saga, the newest first that was shown. */
  readonly #shown = new Map<string, Seen[]>();

  constructor(lineages: Lineages, stories: readonly Story[], storeOf: (name: string) => string | undefined) {
    this.#lineages = lineages;
    this.#storeOf = storeOf;
    for (const story of stories) {
      const name = `${story.saga} ${story.id}`;
      this.#stories.set(name, [...(this.#stories.get(name) ?? []), story]);
    }
  }

  note(record: HistoryRecord): void {
    if (record.kind === "invoke" && (record.what === "saga" || record.what === "tell")) {
      this.#invoked.set(record.op, record);
      if (record.what === "tell" && record.id !== undefined && record.command !== "start") this.ids.add(record.id);
    }
    const begun = "op" in record ? this.#invoked.get(record.op) : undefined;
    if (!begun) return;
    if (record.kind === "fail") this.#refused(begun, record);
    else if (record.kind === "ok" && record.what === "tell") this.#told(begun, record);
    else if (record.kind === "ok" && record.what === "saga") this.#read(begun, record);
  }

  #wrong(begun: Invoked, what: string): void {
    const { session, op, name, key, command = "get" } = begun;
    this.found.push(`${session}, ${name}.${command}("${key}") (operation ${op}): ${what}`);
  }

  /** The saga in each lineage that may have answered. */
  #possible({ name, key, t }: Invoked, until: number): Story[] {
    const during = this.#lineages.during(this.#storeOf(name) ?? "", t, until);
    return (this.#stories.get(`${name} ${key}`) ?? []).filter(({ lineage }) => during.includes(lineage));
  }

  /** The only lineage that may have answered. */
  #lineage({ name, t }: Invoked, until: number): number | undefined {
    const [lineage, ...more] = this.#lineages.during(this.#storeOf(name) ?? "", t, until);
    return more.length > 0 ? undefined : lineage;
  }

  #told(begun: Invoked, { position, repeated, t }: ToldOk): void {
    const stories = this.#possible(begun, t);
    const { command = "" } = begun;
    const isThere = (story: Story): boolean =>
      story.events.some((event, index) => {
        if (event.position !== position) return false;
        return command === "start" || story.facts[index]?.name === written[command];
      });
    const story = stories.find(isThere);
    if (!story) return this.#wrong(begun, `it was answered at ${position}, and its stream has nothing of it there`);
    if (command !== "start") return;
    const [started] = factsNamed(story, "started");
    if (!sameJson(started?.input, JSON.parse(begun.input ?? "null")))
      this.#wrong(begun, `it has another input: ${JSON.stringify(started?.input)}`);
    const name = `${begun.name} ${begun.key}`;
    const known = this.#started.get(name);
    if (!known || known.lineage < story.lineage) this.#started.set(name, { t, lineage: story.lineage, version: 1 });
    if (repeated || this.#lineage(begun, t) === undefined) return;
    const other = this.#starts.get(story);
    if (other !== undefined) this.#wrong(begun, `it was started by operation ${other}, and once more`);
    this.#starts.set(story, begun.op);
  }

  #refused(begun: Invoked, { code, t }: Failed): void {
    if (code === "saga_exists") {
      const input: unknown = JSON.parse(begun.input ?? "null");
      if (this.#possible(begun, t).every((story) => sameJson(factsNamed(story, "started")[0]?.input, input)))
        this.#wrong(begun, "it was refused, and there is none with another input");
    }
    if (code !== "saga_not_found") return;
    const started = this.#started.get(`${begun.name} ${begun.key}`);
    if (started && started.t <= begun.t && started.lineage === this.#lineage(begun, t))
      this.#wrong(begun, `it is not found, and its start was answered at ${Math.round(started.t)} ms`);
  }

  #read(begun: Invoked, { version, state, anew, t }: SagaOk): void {
    const wanted = this.#possible(begun, t).map((story) => this.#statesOf(story)[version - 1]);
    if (!wanted.some((each) => sameJson(each ?? null, state)))
      this.#wrong(
        begun,
        `it was shown as ${JSON.stringify(state)} at version ${version}, where its stream makes ${JSON.stringify(wanted[0])}`,
      );
    const lineage = this.#lineage(begun, t);
    if (lineage === undefined) return;
    const name = `${begun.session} ${begun.name} ${begun.key}`;
    const all = this.#shown.get(name) ?? [];
    const before = all.find((each) => each.lineage === lineage && each.t <= begun.t);
    if (before && version < before.version) this.#wrong(begun, `it was shown at version ${version}, after version ${before.version}`);
    const isKnown = !anew && begun.known !== undefined && before !== undefined && before.version === begun.known && version <= begun.known;
    if (isKnown) this.#wrong(begun, `version ${version} was news to who knew version ${begun.known}`);
    if (!all.some((each) => each.lineage === lineage && each.version >= version)) this.#shown.set(name, [{ t, lineage, version }, ...all]);
  }

  #statesOf(story: Story): ShownSaga[] {
    let states = this.#states.get(story);
    if (!states) this.#states.set(story, (states = statesOf(story)));
    return states;
  }
}

/** What whoever looks at a saga is shown of it, by its version less one. */
export function statesOf({ facts }: Story): ShownSaga[] {
  let state: SagaState | undefined;
  return facts.map((fact) => {
    state = shown(state, fact);
    const { startedAt: _started, endedAt: _ended, steps, ...rest } = state;
    const plain = { ...rest, steps: steps.map(({ begunAt: _begun, endedAt: _stepEnded, dueAt: _due, ...step }) => step) };
    return JSON.parse(JSON.stringify(plain)) as ShownSaga;
  });
}

/** What a saga was told under an id it was told once. */
function toldTwice(stories: readonly Story[], ids: ReadonlySet<string>): string[] {
  return stories.flatMap((story) => {
    const times = new Map<string, number>();
    for (const [index, { metadata }] of story.events.entries()) {
      const { name } = story.facts[index] ?? {};
      const { cause } = JSON.parse(metadata) as { cause?: string };
      if (cause !== undefined && ids.has(cause) && (name === "signalled" || name === "cancelled"))
        times.set(cause, (times.get(cause) ?? 0) + 1);
    }
    return [...times].flatMap(([id, count]) =>
      count > 1 ? [`${sagaName(story)} was told ${count} times what came under the id ${id}`] : [],
    );
  });
}
