/**
 * Values as a person reads them, one member a line and members by name, and what differs between two of them. Two values are the
 * same when they are written the same: a member that is undefined is one that is not there.
 */

/** Text of a value over several lines. */
export function shown(value: unknown): string {
  return linesOf(value).join("\n");
}

/** The text of an event: its name before its data. */
export class NamedEvent {
  readonly name: string;
  readonly data: unknown;

  constructor(name: string, data: unknown) {
    this.name = name;
    this.data = data;
  }
}

/** What differs, line by line; `undefined` when nothing does. */
export function difference(wanted: unknown, got: unknown): string | undefined {
  const [left, right] = [linesOf(wanted), linesOf(got)];
  if (left.join("\n") === right.join("\n")) return undefined;
  return changesOf(left, right).join("\n");
}

function linesOf(value: unknown): string[] {
  if (value instanceof NamedEvent) return prefixed(`${value.name} `, linesOf(value.data));
  if (value instanceof Date) return [`Date ${Number.isNaN(value.getTime()) ? "invalid" : value.toISOString()}`];
  if (value instanceof Map) return block("Map {", [...value].flatMap(memberLines), "}");
  if (value instanceof Set) return block("Set {", [...value].flatMap(linesOf), "}");
  if (Array.isArray(value)) return block("[", (value as readonly unknown[]).flatMap(linesOf), "]");
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    members.sort(([one], [other]) => (one < other ? -1 : 1));
    return block("{", members.flatMap(memberLines), "}");
  }
  return [typeof value === "string" ? JSON.stringify(value) : typeof value === "bigint" ? `${value}n` : String(value)];
}

function memberLines([name, value]: readonly [unknown, unknown]): string[] {
  const label = typeof name === "string" && /^[\w$]+$/.test(name) ? name : linesOf(name).join(" ");
  return prefixed(`${label}: `, linesOf(value));
}

function prefixed(prefix: string, [first = "", ...others]: readonly string[]): string[] {
  return [`${prefix}${first}`, ...others];
}

function block(open: string, lines: readonly string[], close: string): string[] {
  if (lines.length === 0) return [`${open}${close}`];
  return [open, ...lines.map((line) => `  ${line}`), close];
}

/** Lines that are compared at most: past that, both sides are shown as they are. */
const comparedMax = 2_000;

// The longest common subsequence, by the table: what a test compares is short.
function changesOf(left: readonly string[], right: readonly string[]): string[] {
  if (left.length > comparedMax || right.length > comparedMax)
    return [...left.map((line) => `- ${line}`), ...right.map((line) => `+ ${line}`)];
  const width = right.length + 1;
  const common = new Uint16Array((left.length + 1) * width);
  const at = (row: number, column: number): number => common[row * width + column] ?? 0;
  for (let row = left.length - 1; row >= 0; row--)
    for (let column = right.length - 1; column >= 0; column--)
      common[row * width + column] =
        left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
  const changes: string[] = [];
  for (let [row, column] = [0, 0]; row < left.length || column < right.length; ) {
    if (row < left.length && column < right.length && left[row] === right[column]) {
      changes.push(`  ${left[row++]}`);
      column++;
    } else if (column >= right.length || (row < left.length && at(row + 1, column) >= at(row, column + 1)))
      changes.push(`- ${left[row++]}`);
    else changes.push(`+ ${right[column++]}`);
  }
  return changes;
}
