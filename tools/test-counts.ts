// Reads vitest's JSON report as three numbers. A file that could not be loaded has no tests to count, so it counts as one failure.

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number };

export type VitestReport = {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
};

export function summarize(report: VitestReport): Counts {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report.testResults) {
    let failedHere = 0;
    for (const { status } of file.assertionResults) {
      if (status === "passed") total.passed += 1;
      else if (status === "failed") failedHere += 1;
      else total.skipped += 1;
    }
    if (file.status === "failed" && failedHere === 0) failedHere = 1;
    total.failed += failedHere;
  }
  if (!report.success && total.failed + total.skipped === 0) total.failed = 1;
  return total;
}

/** Of each test that failed a line with its file and one with what it said: a run's output is long, and often only its end is kept. */
export function failuresIn(report: VitestReport): string[] {
  const line = (text: string): string => text.split("\n", 1)[0] as string;
  return report.testResults.flatMap(({ name, message, status, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === "failed");
    if (status === "failed" && failed.length === 0) return [name, `  ${line(message)}`];
    return failed.flatMap(({ fullName, failureMessages }) => [`${name}: ${fullName}`, `  ${line(failureMessages[0] ?? "")}`]);
  });
}

/** What `npm run simulate` writes. */
export type SimulationFigures = { readonly seeds: number; readonly failures: readonly string[] };

/** All seeds together are three tests: no violation, every mark often enough, the same steps twice. Each way to fail is told once. */
export function summarizeSimulations({ seeds, failures }: SimulationFigures): Counts {
  const failed = seeds === 0 ? 3 : Math.min(3, failures.length);
  return { passed: 3 - failed, failed, skipped: 0 };
}
