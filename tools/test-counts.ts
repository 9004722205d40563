// Reads vitest's JSON report as three numbers. A file that could not be loaded has no tests to count, so it counts as one failure.

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number };

export type VitestReport = {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
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

/** What `npm run simulate` writes. */
export type SimulationFigures = { readonly seeds: number; readonly failures: readonly string[] };

/** All seeds together are three tests: no violation, every mark often enough, the same steps twice. Each way to fail is told once. */
export function summarizeSimulations({ seeds, failures }: SimulationFigures): Counts {
  const failed = seeds === 0 ? 3 : Math.min(3, failures.length);
  return { passed: 3 - failed, failed, skipped: 0 };
}
