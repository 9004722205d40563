/**
 * The checks at the end: what the server says against what the file says. Pure, so that a test can show that each check
 * fails when a number is off.
 */
import { knownTotals, type ResourceTally, type Tally, type WorkTally } from "../file/tally.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import type { Answers, EntityAnswer } from "./answers.ts";
import { commandId } from "./command-of-line.ts";

export interface Check {
  readonly name: string;
  readonly expected: string;
  readonly actual: string;
  readonly holds: boolean;
  /** The first of what differs. */
  readonly differences: readonly string[];
}

/** More than these do not help to find the cause. */
const differencesMax = 5;

export interface Evidence {
  readonly tally: Tally;
  readonly answers: Answers;
  readonly acknowledgements: Acknowledgements;
}

/** All checks, in the order of the printed table. */
export function checksOf(evidence: Evidence): readonly Check[] {
  return [
    ...promises(evidence),
    ...finalStates(evidence),
    ...statuses(evidence),
    ...work(evidence),
    ...resources(evidence),
    ...(evidence.tally.known ? known(evidence) : []),
  ];
}

/** Nothing acknowledged is missing, nothing is there twice. */
function promises({ tally, answers, acknowledgements }: Evidence): Check[] {
  const { refusals } = acknowledgements;
  const refused = refusals.map(({ line, application, reason }) => `line ${line}, application ${application}: ${reason}`);
  const missing: string[] = [];
  const surplus: string[] = [];
  const seen = new Set<string>();
  for (const id of new Set([...tally.applications.keys(), ...answers.entities.keys()])) {
    const trail = answers.entities.get(id)?.trail ?? [];
    const acknowledged = acknowledgements.of(id);
    for (const { line, version } of acknowledged) {
      const there = trail[version - 1];
      if (there?.version !== version || there.cause !== commandId(line))
        missing.push(`application ${id}: line ${line} was acknowledged as version ${version}; there is ${there ? there.cause : "nothing"}`);
    }
    const sent = new Set(acknowledged.map(({ line }) => commandId(line)));
    for (const { version, cause } of trail) {
      if (!sent.has(cause)) surplus.push(`application ${id}, version ${version}: ${cause || "no cause"} was not acknowledged`);
      if (seen.has(cause)) surplus.push(`application ${id}, version ${version}: ${cause} is there twice`);
      seen.add(cause);
    }
  }
  return [
    count("lines acknowledged", tally.lines, acknowledgements.count),
    listed("lines refused", refused),
    listed("acknowledged and missing from the audit trail", missing),
    listed("in the audit trail twice, or not from the file", surplus),
    count("events in the log", tally.lines, answers.head),
  ];
}

/** Each application: its entity and its document against its lines. */
function finalStates({ tally, answers }: Evidence): Check[] {
  const entities: string[] = [];
  const documents: string[] = [];
  let open = 0;
  for (const [id, expected] of tally.applications) {
    const { events, status, since, amount, offersSent, ended } = expected;
    const entity = answers.entities.get(id);
    differ(entities, `application ${id}`, { events, status, since, amount, offersSent, ended }, entity && summary(entity));
    differ(documents, `document ${id}`, { status, since, amount, offersSent }, answers.documents.get(id));
    for (const starts of Object.values(entity?.state.open ?? {})) open += starts.length;
  }
  const notCompleted = [...tally.work.values()].reduce((sum, item) => sum + item.started - item.paired, 0);
  return [
    count("applications, by their entities", tally.applications.size, answers.entities.size),
    count("applications, by their view", tally.applications.size, answers.documents.size),
    listed("entities that end otherwise than in the file", entities),
    listed("documents that end otherwise than in the file", documents),
    count("starts that are not completed, by the entities", notCompleted, open),
  ];
}

function summary({ state, version }: EntityAnswer): Record<string, unknown> {
  const { status, since, amount, offersSent, reached } = state;
  const ended = reached.some((status) => ["A_DECLINED", "A_CANCELLED", "A_ACTIVATED"].includes(status));
  return { events: version, status, since: Date.parse(since), amount, offersSent, ended };
}

function statuses({ tally, answers }: Evidence): Check[] {
  const expected = new Map<string, number>();
  for (const { status } of tally.applications.values()) add(expected, status, 1);
  const all = new Set([...expected.keys(), ...answers.byStatus.keys()]);
  return [...all].sort().map((status) => count(`now ${status}, by index`, expected.get(status) ?? 0, answers.byStatus.get(status) ?? 0));
}

function work({ tally, answers }: Evidence): Check[] {
  const all = new Set([...tally.work.keys(), ...answers.work.keys()]);
  return [...all].sort().map((item) => {
    const document = answers.work.get(item);
    const mean = document === undefined || document.paired === 0 ? null : document.totalMs / document.paired;
    const differences: string[] = [];
    differ(differences, item, { ...tally.work.get(item) }, document);
    if (document && document.meanMs !== mean) differences.push(`${item}: the mean is ${document.meanMs}, not ${mean}`);
    return {
      name: `${item}: paired + not, sum, longest`,
      expected: handling(tally.work.get(item)),
      actual: handling(document),
      holds: differences.length === 0,
      differences,
    };
  });
}

function handling(work: WorkTally | undefined): string {
  if (!work) return "none";
  const { paired, unpaired, totalMs, maxMs } = work;
  return `${number(paired)} + ${number(unpaired)}, ${hours(totalMs)}, ${hours(maxMs)} h`;
}

function resources({ tally, answers }: Evidence): Check[] {
  const differences: string[] = [];
  for (const name of new Set([...tally.resources.keys(), ...answers.resources.keys()])) {
    const document = answers.resources.get(name);
    const expected = tally.resources.get(name);
    if (!expected) differences.push(`resource ${name} is not in the file`);
    else
      differ(
        differences,
        `resource ${name}`,
        flat(expected),
        document && flat({ ...document, activities: Object.entries(document.activities) }),
      );
  }
  const activities: string[] = [];
  const actual = activityTotals(answers);
  for (const activity of new Set([...tally.activities.keys(), ...actual.keys()]))
    differ(activities, activity, { events: tally.activities.get(activity) ?? 0 }, { events: actual.get(activity) ?? 0 });
  const nobody = answers.resources.get("nobody")?.events ?? 0;
  return [
    count("resources", tally.resources.size, answers.resources.size),
    listed("resources that did otherwise than in the file", differences),
    listed("activities that happened more or less often", activities),
    count("events by nobody in particular", tally.resources.get("nobody")?.events ?? 0, nobody),
  ];
}

function flat(resource: Omit<ResourceTally, "activities"> & { activities: Iterable<readonly [string, number]> }): Record<string, number> {
  const { events, started, completed, handlingMs, activities } = resource;
  return { events, started, completed, handlingMs, ...Object.fromEntries(activities) };
}

/** What the data's description says, against the views. */
function known({ tally, answers }: Evidence): Check[] {
  const actual = activityTotals(answers);
  const sum = (field: "unpaired" | "doubleStarts"): number => [...answers.work.values()].reduce((total, work) => total + work[field], 0);
  const ended = [...answers.entities.values()].filter((entity) => summary(entity)["ended"] === true).length;
  return [
    count("known: lines", knownTotals.lines, tally.lines),
    count("known: applications", knownTotals.applications, answers.documents.size),
    ...Object.entries(knownTotals.activities).map(([name, expected]) => count(`known: ${name}`, expected, actual.get(name) ?? 0)),
    count("known: completions without a start", knownTotals.unpairedCompletions, sum("unpaired")),
    count("known: double starts", knownTotals.doubleStarts, sum("doubleStarts")),
    count("known: never declined, cancelled or activated", knownTotals.neverEnded, answers.entities.size - ended),
  ];
}

function activityTotals({ resources }: Answers): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { activities } of resources.values())
    for (const [activity, events] of Object.entries(activities)) add(totals, activity, events);
  return totals;
}

function add(totals: Map<string, number>, key: string, amount: number): void {
  totals.set(key, (totals.get(key) ?? 0) + amount);
}

/** Notes each expected field that the actual value has otherwise. */
function differ(differences: string[], what: string, expected: object, actual: object | undefined): void {
  if (!actual) {
    differences.push(`${what} is missing`);
    return;
  }
  const given = new Map<string, unknown>(Object.entries(actual));
  for (const [field, value] of Object.entries(expected))
    if (given.get(field) !== value) differences.push(`${what}: ${field} is ${String(given.get(field))}, not ${String(value)}`);
}

function count(name: string, expected: number, actual: number): Check {
  return { name, expected: number(expected), actual: number(actual), holds: expected === actual, differences: [] };
}

function listed(name: string, differences: readonly string[]): Check {
  return {
    name,
    expected: "0",
    actual: number(differences.length),
    holds: differences.length === 0,
    differences: differences.slice(0, differencesMax),
  };
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function hours(ms: number): string {
  return (ms / 3_600_000).toLocaleString("en", { maximumFractionDigits: 3, minimumFractionDigits: 3 });
}
