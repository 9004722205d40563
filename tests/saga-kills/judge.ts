// What the log must say of transfers that were acknowledged, whatever became of the processes that ran them.
import { toEnvelope, type Envelope, type StoredEvent } from "convergent";
import { accounts, opening } from "./transfers.ts";

interface Story {
  readonly facts: Envelope[];
  /** Events on accounts, by the id of the step or undo that caused them. */
  readonly effects: Map<string, number>;
}

/** Violations, one a line; none when all is well. `started`: ids that were acknowledged. */
export function violations(events: readonly StoredEvent[], started: readonly string[]): string[] {
  const found: string[] = [];
  const stories = new Map<string, Story>();
  const story = (id: string): Story => {
    let known = stories.get(id);
    if (!known) stories.set(id, (known = { facts: [], effects: new Map() }));
    return known;
  };
  let money = 0;
  for (const event of events.map(toEnvelope)) {
    if (event.entity === "transfer") story(event.entityId).facts.push(event);
    if (event.entity !== "account") continue;
    const { amount } = event.data as { amount: number };
    money += event.type === "account.withdrawn" ? -amount : amount;
    // Of a posting, which its transfer has as a step: posting/transfer/t-1/deposit/deposit.
    const cause = (event.metadata.cause ?? "").replace(/^posting\/(transfer\/.+)\/deposit\/(?=deposit)/, "$1/");
    const [saga, id, ...step] = cause.split("/");
    if (saga !== "transfer") continue;
    const { effects } = story(id as string);
    effects.set(step.join("/"), (effects.get(step.join("/")) ?? 0) + 1);
  }
  if (money !== accounts.length * opening) found.push(`money: ${money} instead of ${accounts.length * opening}`);
  for (const id of started) if (!stories.has(id)) found.push(`${id}: acknowledged, and not there`);
  for (const [id, each] of stories) for (const what of wrongs(each)) found.push(`${id}: ${what}`);
  return found;
}

function wrongs({ facts, effects }: Story): string[] {
  const found: string[] = [];
  const named = (name: string): Envelope[] => facts.filter(({ type }) => type === `transfer.${name}`);
  const steps = (name: string): string[] => named(name).map(({ data }) => (data as { step: string }).step);
  if (named("started").length !== 1) found.push(`started ${named("started").length} times`);
  const ends = [...named("completed"), ...named("compensated"), ...named("parked")];
  if (ends.length !== 1 || facts.at(-1) !== ends[0])
    found.push(`${ends.length} ends, the last of its events is ${facts.at(-1)?.type ?? "none"}`);
  if (named("parked").length > 0) found.push("parked, though every undo can succeed");
  for (const name of ["begun", "done", "failed", "undone"])
    if (new Set(steps(name)).size !== steps(name).length) found.push(`a step was ${name} twice`);
  const order = steps("begun").toReversed();
  const undone = steps("undone");
  if (undone.join() !== order.filter((step) => undone.includes(step)).join())
    found.push(`undone in another order than reverse: ${undone.join()}`);
  for (const step of ["withdraw", "deposit"]) {
    const done = effects.get(step) ?? 0;
    const back = effects.get(`${step}/undo`) ?? 0;
    if (done > 1 || back > 1) found.push(`"${step}" took effect ${done} times, its undo ${back} times`);
    if (named("completed").length > 0 && (done !== 1 || back !== 0))
      found.push(`completed, with "${step}" ${done} times and its undo ${back} times`);
    if (named("compensated").length > 0 && done !== back)
      found.push(`compensated, with "${step}" ${done} times and its undo ${back} times`);
  }
  return found;
}
