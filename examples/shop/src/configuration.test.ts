import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";

test("without a word the shop is on port 4000, with its data beside its sources", () => {
  expect(readConfiguration({ PORT: "", DATA_DIR: "" })).toEqual({
    port: 4000,
    dataDirectory: join(import.meta.dirname, "..", "data"),
    laboratory: true,
  });
});

test("PORT and DATA_DIR override that, and in production no reader is held back", () => {
  expect(readConfiguration({ PORT: "0", DATA_DIR: "here", NODE_ENV: "production" })).toEqual({
    port: 0,
    dataDirectory: resolve("here"),
    laboratory: false,
  });
});

test.each(["http", "-1", "65536", "40.5", "4000 "])("%j is no port", (port) => {
  expect(() => readConfiguration({ PORT: port })).toThrow(/PORT is .* which is no port: give a number/);
});
