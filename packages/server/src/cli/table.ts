/** Columns for a terminal: text to the left, numbers to the right, two spaces between. */
export function table(heads: readonly string[], rows: ReadonlyArray<ReadonlyArray<string | number | undefined>>): string {
  const cells = [heads, ...rows.map((row) => row.map((cell) => (cell === undefined ? "–" : String(cell))))];
  const isNumeric = heads.map((_, column) => rows.some((row) => typeof row[column] === "number"));
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join("  ");
  return cells.map((row) => line(row).trimEnd()).join("\n");
}
