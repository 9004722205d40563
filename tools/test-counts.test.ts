import { expect, test } from "vitest";
import { failuresIn, summarize, summarizeSimulations } from "./test-counts.ts";

const file = (status: string, ...tests: string[]) => ({
  name: "some.test.ts",
  message: "it could not be loaded\nat a line of it",
  status,
  assertionResults: tests.map((each, index) => ({
    status: each,
    fullName: `test ${index}`,
    failureMessages: each === "failed" ? ["Error: expected 1\n    at some.test.ts:3"] : [],
  })),
});

test("every test that neither passed nor failed was skipped, whatever it is called", () => {
  const report = {
    success: false,
    testResults: [file("passed", "passed", "skipped", "todo", "pending"), file("failed", "failed", "passed")],
  };
  expect(summarize(report)).toEqual({ passed: 2, failed: 1, skipped: 3 });
});

test("a file that could not be loaded is a failure, although it has no tests", () => {
  expect(summarize({ success: false, testResults: [file("failed"), file("failed", "passed", "passed")] })).toEqual({
    passed: 2,
    failed: 2,
    skipped: 0,
  });
});

test("a run that failed outside every test is a failure", () => {
  expect(summarize({ success: false, testResults: [file("passed", "passed")] })).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("simulations are three tests; each way to fail is one of them, and no seeds are no success", () => {
  expect(summarizeSimulations({ seeds: 10, failures: [] })).toEqual({ passed: 3, failed: 0, skipped: 0 });
  expect(summarizeSimulations({ seeds: 10, failures: ["a violation"] })).toEqual({ passed: 2, failed: 1, skipped: 0 });
  expect(summarizeSimulations({ seeds: 10, failures: ["a", "b", "c", "d"] })).toEqual({ passed: 0, failed: 3, skipped: 0 });
  expect(summarizeSimulations({ seeds: 0, failures: [] })).toEqual({ passed: 0, failed: 3, skipped: 0 });
});

test("what failed is told by its file, its name and the first line of what it said", () => {
  expect(
    failuresIn({ success: false, testResults: [file("passed", "passed"), file("failed", "passed", "failed"), file("failed")] }),
  ).toEqual(["some.test.ts: test 1", "  Error: expected 1", "some.test.ts", "  it could not be loaded"]);
});
