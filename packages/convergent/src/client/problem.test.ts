import { expect, test } from "vitest";
import { catalogue, type ErrorCode } from "../errors/catalogue.ts";
import { problemError, readProblem } from "./problem.ts";

function body(members: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ type: "urn:x", title: "t", status: 400, detail: "what happened", ...members });
}

test("a known code becomes that error with the server's sentence and facts", () => {
  const error = problemError(readProblem(400, body({ code: "index_not_declared", retry: "never", known: ["customer"] })), { id: "i-1" });
  expect(error).toMatchObject({
    code: "index_not_declared",
    retry: "never",
    message: "what happened",
    details: { known: ["customer"], id: "i-1" },
  });
});

test("every code of the catalogue arrives as itself", () => {
  for (const code of Object.keys(catalogue) as ErrorCode[])
    expect(problemError(readProblem(catalogue[code].status, body({ code, retry: catalogue[code].retry }))).code).toBe(code);
});

test("an unknown code of a newer server becomes the nearest known one and keeps its own in details", () => {
  const unknown = (status: number, retry?: string): string =>
    problemError(readProblem(status, body({ code: "brand_new", ...(retry === undefined ? {} : { retry }) }))).code;
  expect(unknown(404, "never")).toBe("not_found");
  expect(unknown(403, "never")).toBe("forbidden");
  expect(unknown(418, "never")).toBe("invalid_input");
  expect(unknown(503, "later")).toBe("unavailable");
  expect(unknown(429, "later")).toBe("unavailable");
  expect(unknown(503)).toBe("unavailable");
  expect(problemError(readProblem(404, body({ code: "brand_new" }))).details).toMatchObject({ code: "brand_new", status: 404 });
});

test("an unknown code never becomes one whose retry contradicts the server", () => {
  for (const status of [400, 401, 403, 404, 409, 410, 412, 413, 418, 422, 429, 500, 501, 503]) {
    for (const retry of ["never", "later"]) expect(problemError(readProblem(status, body({ code: "brand_new", retry }))).retry).toBe(retry);
  }
});

test("names that every object inherits are no known codes", () => {
  expect(problemError(readProblem(400, body({ code: "constructor" }))).code).toBe("invalid_input");
});

test("HTML, nothing, and JSON that is no problem are read as a problem without a code", () => {
  expect(readProblem(404, "<html><h1>Not   here</h1></html>")).toMatchObject({
    code: undefined,
    retry: "never",
    detail: "HTTP 404: Not here",
  });
  expect(readProblem(502, "")).toMatchObject({ code: undefined, retry: "later", detail: "HTTP 502" });
  expect(readProblem(500, "[1]")).toMatchObject({ code: undefined, retry: "later" });
  expect(problemError(readProblem(404, "<p>x</p>"))).toMatchObject({ code: "not_found", details: { status: 404 } });
});
