/** The printed result. */
import type { Check } from "./checks.ts";
import type { ReaderLag } from "./reader-lag.ts";

/** Checks as a table, and under it the first differences of those that do not hold. */
export function checkTable(checks: readonly Check[]): string {
  const header = { name: "check", expected: "from the file", actual: "from the server" };
  const width = (field: "name" | "expected" | "actual"): number => Math.max(...[header, ...checks].map((row) => row[field].length));
  const [name, expected, actual] = [width("name"), width("expected"), width("actual")];
  const row = (mark: string, cells: typeof header): string =>
    `${mark} ${cells.name.padEnd(name)}  ${cells.expected.padStart(expected)}  ${cells.actual.padStart(actual)}`;
  const failed = checks.filter(({ holds }) => !holds);
  return [
    row(" ", header),
    ...checks.map((check) => row(check.holds ? "✓" : "✗", check)),
    "",
    failed.length === 0 ? `All ${checks.length} checks hold.` : `${failed.length} of ${checks.length} checks do not hold:`,
    ...failed.flatMap((check) => [
      `✗ ${check.name}: ${check.actual} instead of ${check.expected}`,
      ...check.differences.map((text) => `    ${text}`),
    ]),
  ].join("\n");
}

/** Write → visible, one line a view. */
export function visibilityTable(readers: readonly ReaderLag[]): string {
  const width = Math.max(...readers.map(({ name }) => name.length));
  return readers
    .map(({ name, visibilityMs }) => {
      const measured = visibilityMs
        ? `p50 ${visibilityMs.p50} ms, p99 ${visibilityMs.p99} ms`
        : "not measured: nothing was written since the server started";
      return `  ${name.padEnd(width)}  ${measured}`;
    })
    .join("\n");
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
