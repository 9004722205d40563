// Log lines as a person on a terminal reads them.
import { pino } from "pino";
import { expect, test } from "vitest";
import { readable, requestLogger } from "./request-lines.ts";

const lines: string[] = [];
const logger = pino(
  { level: "debug", base: null },
  readable((text) => lines.push(text)),
);
const last = (): string => lines.at(-1)!.replace(/^\d\d:\d\d:\d\d /, "");

test("a request is one line: what was asked, how it ended, how long it took, by whom", () => {
  logger.info({ method: "GET", route: "/views/{view}/{key}", status: 200, ms: 1.25, caller: "ada" }, "request");
  expect(last()).toBe("GET /views/{view}/{key} 200 1.25 ms by ada\n");
  logger.error({ method: "POST", route: "none", status: 503, ms: 3, code: "unavailable" }, "request");
  expect(last()).toBe("! POST none 503 3 ms unavailable\n");
});

test("other lines tell their facts, and failures where they come from", () => {
  logger.info({ port: 4000, services: ["orders"] }, "listening");
  expect(last()).toBe('listening port 4000 services ["orders"]\n');
  logger.error({ err: new Error("broke"), where: "GET /x" }, "request failed");
  expect(last()).toMatch(/^! request failed where "GET \/x" \nError: broke\n +at /);
});

test("silent is no logger at all", () => {
  expect(requestLogger("silent")).toBe(false);
  expect(requestLogger("warn")).toMatchObject({ level: "warn" });
});
