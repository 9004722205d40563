// HTTP contract: /openapi.json is OpenAPI 3.1, describes every address, and real answers are what it says.
import { createGateway, type Gateway } from "@convergent/server";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { catalogue, command, entity, service, view } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type Answer, placement, send, type Shop, startShop } from "./order-service.ts";
import { Travel, trip } from "./saga-service.ts";

type Operation = {
  readonly responses: Record<string, unknown>;
  readonly parameters?: ReadonlyArray<{ readonly name?: string; readonly $ref?: string }>;
};
interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: {
    readonly schemas: Record<string, object>;
    readonly responses: Record<string, { readonly description: string }>;
    readonly securitySchemes?: object;
  };
  readonly security?: unknown;
}

let shop: Shop;
let document: Document;
let ajv: Ajv2020;
beforeEach(async () => {
  shop = await startShop();
  document = await documentOf(shop.gateway);
  ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema(document, "openapi");
});
afterEach(() => shop.stop());

async function documentOf(gateway: Gateway, headers: Record<string, string> = {}): Promise<Document> {
  const { status, text } = await send(gateway, "GET", "/openapi.json", { headers });
  expect(status).toBe(200);
  return JSON.parse(text) as Document;
}

const pointer = (...steps: readonly string[]): string =>
  steps.map((step) => `/${encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))}`).join("");

/** Whether an answer is what the document promises of this operation; else why not. */
function faultsOf(path: string, method: string, answer: Answer): unknown {
  const response = document.paths[path]?.[method]?.responses[String(answer.status)] as { $ref?: string } | undefined;
  if (!response) return `${method} ${path} does not speak of ${answer.status}`;
  const at = response.$ref?.replace("#", "") ?? pointer("paths", path, method, "responses", String(answer.status));
  const type = answer.headers.get("content-type")?.split(";", 1)[0] ?? "";
  const validate = ajv.getSchema(`openapi#${at}${pointer("content", type, "schema")}`) as ValidateFunction | undefined;
  if (!validate) return `${method} ${path} does not say that ${answer.status} may be ${type}`;
  return validate(answer.body) ? undefined : validate.errors;
}

test("the document is valid OpenAPI 3.1", async () => {
  expect(await new Validator().validate(structuredClone(document) as never)).toMatchObject({ valid: true });
});

test("each command, entity, view and status address is described, and nothing else", () => {
  const entities = { order: ["place", "amend", "cancel", "touch", "explode"], stock: ["reserve"] };
  const expected = [
    ...Object.entries(entities).flatMap(([name, commands]) =>
      ["", "/events", ...commands.map((one) => `/${one}`)].map((rest) => `/entities/${name}/{id}${rest}`),
    ),
    ...["order-summary", "availability"].flatMap((name) => [`/views/${name}`, `/views/${name}/{key}`]),
    ...["/services/{service}/ids/{id}/void", "/live", "/definition", "/openapi.json", "/healthz", "/readyz", "/readers", "/metrics"],
  ];
  expect(Object.keys(document.paths).sort((one, other) => one.localeCompare(other))).toEqual(
    expected.sort((one, other) => one.localeCompare(other)),
  );
});

test("every address that the gateway knows is in the document", async () => {
  const { body } = await send(shop.gateway, "GET", "/nowhere");
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  // There is no view with queries here, and no saga.
  for (const known of body.known.filter((address) => !/\/queries\/|\/sagas\//.test(address))) {
    const pattern = new RegExp(`^${known.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
    expect([known, described.some((address) => pattern.test(address))]).toEqual([known, true]);
  }
});

test("every code of the catalogue is described under its status", () => {
  for (const [code, { status, summary }] of Object.entries(catalogue))
    expect(document.components.responses[`Problem${status}`]?.description).toContain(`\`${code}\`: ${summary}`);
});

test("inputs, documents and indexes are described as the definitions have them", () => {
  expect(document.components.schemas["order.place"]).toMatchObject({ type: "object", required: ["customer", "lines"] });
  expect(document.components.schemas["order-summary.document"]).toMatchObject({ type: "object" });
  expect(document.components.schemas["order.event.cancelled"]).toMatchObject({ properties: { reason: { type: "string" } } });
  const parameters = document.paths["/views/order-summary"]!["get"]!.parameters!;
  for (const name of ["customer", "total.from", "total.to", "limit", "cursor", "orderBy"])
    expect(parameters.map((parameter) => parameter.name)).toContain(name);
});

test("real answers are what the document says, good and bad", async () => {
  const at = {
    id: "/entities/order/{id}",
    events: "/entities/order/{id}/events",
    place: "/entities/order/{id}/place",
    amend: "/entities/order/{id}/amend",
    key: "/views/order-summary/{key}",
    find: "/views/order-summary",
  };
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) => send(shop.gateway, "POST", path, { body, headers });
  const get = (path: string, headers: Record<string, string> = {}) => send(shop.gateway, "GET", path, { headers });
  const now = { "Cache-Control": "no-cache", Prefer: "wait=5" };
  const place = (rest: Record<string, string> = {}, body: unknown = placement) => post("/entities/order/o-1/place", body, rest);
  const placed = await place({ "Idempotency-Key": "k-1" });
  const answers: Array<[path: string, method: string, status: number, answer: Answer]> = [
    [at.place, "post", 200, placed],
    [at.place, "post", 200, await place({ "Idempotency-Key": "k-1" })],
    [at.place, "post", 409, await place()],
    [at.place, "post", 422, await place({ "Idempotency-Key": "k-1" }, { ...placement, customer: "bob" })],
    [at.place, "post", 400, await place({}, {})],
    [at.place, "post", 413, await post("/entities/order/o-1/place", `"${"a".repeat(1_000_001)}"`)],
    [at.place, "post", 403, await place({ Origin: "https://evil.example" })],
    [at.amend, "post", 412, await post("/entities/order/o-1/amend", { lines: placement.lines }, { "If-Match": '"x.7"' })],
    [at.id, "get", 200, await get("/entities/order/o-1")],
    [at.id, "get", 404, await get("/entities/order/o-2")],
    [at.id, "get", 400, await get("/entities/order/o-1?version=x")],
    [at.events, "get", 200, await get("/entities/order/o-1/events")],
    [at.key, "get", 200, await get("/views/order-summary/o-1", now)],
    [at.key, "get", 404, await get("/views/order-summary/o-2", now)],
    [at.key, "get", 400, await get("/views/order-summary/o-1", { "Consistency-Token": "x" })],
    [at.find, "get", 200, await get("/views/order-summary?customer=ada&count=true", now)],
    [at.find, "get", 400, await get("/views/order-summary?nothing=1")],
    ["/definition", "get", 200, await get("/definition")],
    ["/readers", "get", 200, await get("/readers")],
    ["/healthz", "get", 200, await get("/healthz")],
    ["/readyz", "get", 200, await get("/readyz")],
    ["/openapi.json", "get", 200, await get("/openapi.json")],
  ];
  await shop.summaryReader.stop();
  const later = await post("/entities/order/o-9/place", placement);
  const unmet = { "Consistency-Token": later.body.token, Prefer: "wait=0" };
  answers.push([at.key, "get", 200, await get("/views/order-summary/o-9", unmet)]);
  answers.push([at.key, "get", 503, await get("/views/order-summary/o-9", { ...unmet, Prefer: "wait=0, handling=strict" })]);
  shop.store.failing = "unavailable";
  answers.push([at.place, "post", 503, await post("/entities/order/o-10/place", placement)]);
  for (const [path, method, status, answer] of answers) {
    expect([method, path, answer.status]).toEqual([method, path, status]);
    expect([method, path, status, faultsOf(path, method, answer)]).toEqual([method, path, status, undefined]);
  }
});

test("sagas are described with each of their addresses, and real answers are what the document says", async () => {
  const site = await Travel.open();
  document = await documentOf(site.gateway);
  expect(await new Validator().validate(structuredClone(document) as never)).toMatchObject({ valid: true });
  ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).addSchema(document, "openapi");
  const below = ["", "/cancel", "/resolve", "/retry", "/signals/{signal}"].map((rest) => `/sagas/approval/{id}${rest}`);
  expect(Object.keys(document.paths).filter((path) => path.startsWith("/sagas/approval"))).toEqual(
    expect.arrayContaining(["/sagas/approval", ...below]),
  );
  expect(document.components.schemas["approval.input"]).toMatchObject({ type: "object", required: ["amount"] });
  const id = "/sagas/book-trip/{id}";
  const answers: Array<[path: string, method: string, status: number, answer: Answer]> = [
    ["/sagas/book-trip", "post", 202, await site.post("/sagas/book-trip", trip, { "Idempotency-Key": "t-1" })],
    ["/sagas/book-trip", "post", 422, await site.post("/sagas/book-trip", { ...trip, to: "Bonn" }, { "Idempotency-Key": "t-1" })],
    [id, "post", 202, await site.post("/sagas/book-trip/t-1", trip)],
    [id, "post", 409, await site.post("/sagas/book-trip/t-1", { ...trip, to: "Bonn" })],
    [id, "post", 400, await site.post("/sagas/book-trip/t-2", {})],
    [id, "get", 200, await site.ended("/sagas/book-trip/t-1")],
    [id, "get", 404, await site.get("/sagas/book-trip/t-2")],
    [`${id}/signals/{signal}`, "post", 409, await site.post("/sagas/book-trip/t-1/signals/go", 7)],
    [`${id}/retry`, "post", 409, await site.post("/sagas/book-trip/t-1/retry", { reason: "x" })],
    [`${id}/resolve`, "post", 400, await site.post("/sagas/book-trip/t-1/resolve")],
    [`${id}/cancel`, "post", 404, await site.post("/sagas/book-trip/t-2/cancel")],
    ["/services/{service}/ids/{id}/void", "post", 200, await site.post("/services/travel/ids/k-1/void")],
  ];
  await site.running.stop();
  for (const [path, method, status, answer] of answers) {
    expect([method, path, answer.status]).toEqual([method, path, status]);
    expect([method, path, status, faultsOf(path, method, answer)]).toEqual([method, path, status, undefined]);
  }
});

test("an answer that is not what the document says is found out", async () => {
  const { body, headers } = await send(shop.gateway, "POST", "/entities/order/o-1/place", { body: placement });
  const { version: _, ...without } = body;
  expect(faultsOf("/entities/order/{id}/place", "post", { status: 200, headers, body: without, text: "" } as Answer)).toBeDefined();
  expect(
    faultsOf("/entities/order/{id}/place", "post", { status: 200, headers, body: { ...body, version: "1" }, text: "" } as never),
  ).toBeDefined();
});

test("requests that the gateway accepts meet the described input, and one that it refuses does not", () => {
  const validate = ajv.getSchema("openapi#/components/schemas/order.place")!;
  expect([validate(placement), validate({ customer: "ada", lines: [] }), validate({})]).toEqual([true, false, false]);
});

test("schemas that refer to parts of themselves stay valid inside the document", async () => {
  interface Tree {
    readonly name: string;
    readonly children: readonly Tree[];
  }
  const Tree: z.ZodType<Tree> = z.lazy(() => z.object({ name: z.string(), children: z.array(Tree) })).meta({ id: "Tree" });
  const forest = entity("forest", { initial: () => ({}), events: { grown: z.object({ tree: Tree }) } })
    .evolve({ grown: (state) => state })
    .commands({ grow: command(z.object({ tree: Tree }), (_, input, emit) => emit.grown(input)) });
  const trees = view("trees", { from: [forest], document: z.object({ tree: Tree }), key: (event) => event.entityId }).on({
    "forest.grown": (_, event) => event.data,
  });
  const running = await service("forests", { parts: { forest, trees } }).start({ store: memory() });
  const described = await documentOf(createGateway([running]));
  expect(await new Validator().validate(structuredClone(described) as never)).toMatchObject({ valid: true });
  const validate = new Ajv2020({ strict: false, validateFormats: false })
    .addSchema(described, "openapi")
    .getSchema("openapi#/components/schemas/forest.grow")!;
  expect(validate({ tree: { name: "a", children: [{ name: "b", children: [] }] } })).toBe(true);
  expect(validate({ tree: { name: "a", children: [{ name: 1, children: [] }] } })).toBe(false);
  await running.stop();
});

test("the document is made once and has an ETag", async () => {
  const { headers } = await send(shop.gateway, "GET", "/openapi.json");
  const again = await send(shop.gateway, "GET", "/openapi.json", { headers: { "If-None-Match": headers.get("etag")! } });
  expect([again.status, again.text]).toEqual([304, ""]);
});

test("where callers are authenticated the document says how, and is shown to who may see the definition", async () => {
  expect(document.security).toBeUndefined();
  const guarded = createGateway(shop.services, {
    authenticate: (request) => ({ subject: request.headers.get("x-user") ?? "nobody", claims: {}, scopes: new Set() }),
    policy: ({ kind, caller }) => kind === "definition" && caller.subject === "ada",
  });
  expect((await send(guarded, "GET", "/openapi.json")).status).toBe(403);
  const described = await documentOf(guarded, { "X-User": "ada" });
  expect(described.security).toEqual([{ caller: [] }]);
  expect(described.components.securitySchemes).toEqual({ caller: { type: "http", scheme: "bearer", bearerFormat: "JWT" } });
  expect(described.paths["/entities/order/{id}/place"]!["post"]!.responses).toHaveProperty("401");
  expect(await new Validator().validate(structuredClone(described) as never)).toMatchObject({ valid: true });
});
