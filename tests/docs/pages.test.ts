// Pages of the documentation whose files compile, run, and print what the page says.
import { expect, onTestFinished, test } from "vitest";
import { pageRun } from "./page-runs.ts";

test.for(["client", "conflicts", "live", "queries", "readers", "sagas", "simulation", "transactions"])(
  "docs/%s.md: its code compiles and prints what the page says",
  { timeout: 180_000 },
  (name) => {
    const page = pageRun(name);
    onTestFinished(() => page.end());
    expect(page.fragments).toEqual([]);
    expect(page.compile()).toBe("");
    expect(page.run()).toEqual([]);
  },
);
