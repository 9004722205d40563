// Events as they lie in logs: whatever the definition becomes, it reads them. An event that changes gets a version and a fixture more.
import { readFileSync } from "node:fs";
import { type EventFixtures, fixtureProblems } from "convergent";
import { expect, test } from "vitest";
import { application } from "./application.ts";

test("every version of every event that a log may hold is read by the present definition", async () => {
  const fixtures = JSON.parse(readFileSync(new URL("fixtures/application.json", import.meta.url), "utf8")) as EventFixtures;
  expect(await fixtureProblems(application, fixtures)).toEqual([]);
});
