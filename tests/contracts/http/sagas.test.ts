// HTTP contract: sagas are started once, read while they run, told something once, and seen to when they are parked.
import { join } from "node:path";
import { createGateway } from "@convergent/server";
import { type Host, runtimeOf, streamOf } from "convergent";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { sqlite } from "convergent/sqlite";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { World } from "../sagas/trip.ts";
import { travel } from "../sagas/travel.ts";
import { newPlace } from "../stores/store-kinds.ts";
import { BreakableStore } from "./order-service.ts";
import { codeOf, isHeld, sagaOf, Travel, trip } from "./saga-service.ts";

let site: Travel;
beforeEach(async () => {
  site = await Travel.open();
});
afterEach(() => site.running.stop());

describe("starting", () => {
  test("is answered with 202 and the saga's address, and the end is read there", async () => {
    const started = await site.post("/sagas/book-trip", trip);
    const { id, repeated } = sagaOf(started);
    expect([started.status, repeated, started.headers.get("location")]).toEqual([202, false, `/sagas/book-trip/${id}`]);
    expect([started.headers.get("retry-after"), started.headers.get("consistency-token")]).toEqual(["1", started.body.token]);
    const end = await site.ended(`/sagas/book-trip/${id}`);
    expect([end.status, end.headers.get("retry-after"), end.headers.get("preference-applied")]).toEqual([200, null, "wait=20"]);
    const { steps, ...body } = sagaOf(end);
    expect(body).toMatchObject({ id, status: "completed", input: trip, result: { seat: "flight-1", to: "Oslo" }, version: 8 });
    expect(steps.map(({ name, state, retries }) => [name, state, retries])).toEqual([
      ["flight", "done", 0],
      ["hotel", "done", 0],
      ["car", "done", 0],
    ]);
    for (const time of [body.startedAt, body.endedAt, steps[0]?.begunAt]) expect(time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(end.headers.get("etag")).toMatch(/^"[^"]+\.8"$/);
    expect(end.headers.get("consistency-token")).toBe(body.token);
    expect(await site.running.waitFor(body.token)).toBe(true);
  });

  test("under a key it happens once: the key is the id, and another input under it is 422", async () => {
    const first = await site.post("/sagas/book-trip", trip, { "Idempotency-Key": '"k/1"' });
    expect([sagaOf(first).id, first.headers.get("location")]).toEqual(["k/1", "/sagas/book-trip/k%2F1"]);
    const again = await site.post("/sagas/book-trip", { nights: 2, to: "Oslo" }, { "Idempotency-Key": "k/1" });
    expect([again.status, sagaOf(again).repeated]).toEqual([202, true]);
    expect(codeOf(await site.post("/sagas/book-trip", { ...trip, nights: 3 }, { "Idempotency-Key": "k/1" }))).toEqual([
      422,
      "idempotency_key_reused",
    ]);
    expect(sagaOf(await site.ended("/sagas/book-trip/k%2F1")).status).toBe("completed");
    expect(site.world.calls).toHaveLength(3);
  });

  test("under an id of the caller's it happens once, and another input is 409 saga_exists", async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => site.post("/sagas/book-trip/t-1", trip)));
    expect(all.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
    expect(all.filter((answer) => !sagaOf(answer).repeated)).toHaveLength(1);
    expect(codeOf(await site.post("/sagas/book-trip/t-1", { ...trip, nights: 3 }))).toEqual([409, "saga_exists"]);
    await site.ended("/sagas/book-trip/t-1");
    expect(codeOf(await site.post("/sagas/book-trip/t-1", { ...trip, nights: 3 }))).toEqual([409, "saga_exists"]);
    expect(sagaOf(await site.post("/sagas/book-trip/t-1", trip)).repeated).toBe(true);
    expect(site.world.calls).toHaveLength(3);
  });

  test("callers are told to come back after the median time that recent ones took", async () => {
    site.world.behaviour.set("hotel", "breaks once");
    for (const id of ["a", "b", "c"]) {
      await site.post(`/sagas/book-trip/${id}`, trip);
      expect(sagaOf(await site.ended(`/sagas/book-trip/${id}`)).status).toBe("completed");
    }
    const took = (await Promise.all(["a", "b", "c"].map((id) => site.running.bookTrip.get(id)))).map((end) => end.endedAt! - end.startedAt);
    const { headers } = await site.post("/sagas/book-trip/d", trip);
    expect(Number(headers.get("retry-after-ms"))).toBe(took.toSorted((one, other) => one - other)[1]);
  });

  test("while the store does not answer it is 503 outcome_unknown, and the same id tells what became of it", async () => {
    const { timers, disk, ...rest } = nodeHost();
    const store = { isDown: false };
    const host: Host = {
      ...rest,
      // The limit of eight seconds passes quickly.
      timers: { ...timers, after: (ms, run, awaited) => timers.after(ms === 8000 ? 80 : ms, run, awaited) },
      disk: {
        ...disk,
        open: async (path) => {
          const file = await disk.open(path);
          const sync = async (): Promise<void> => {
            while (store.isDown) await timers.sleep(5);
            await file.sync();
          };
          return { append: (bytes) => file.append(bytes), sync, truncate: (size) => file.truncate(size), close: () => file.close() };
        },
      },
    };
    const slow = await travel(site.world).start({ store: memory({ host, directory: newPlace() }) });
    onTestFinished(() => slow.stop());
    const to = createGateway([slow]);
    store.isDown = true;
    expect(codeOf(await site.post("/sagas/book-trip/t-1", trip, {}, to))).toEqual([503, "outcome_unknown"]);
    store.isDown = false;
    const again = await site.post("/sagas/book-trip/t-1", trip, {}, to);
    expect([again.status, sagaOf(again).repeated]).toEqual([202, true]);
    expect(site.world.calls.filter((call) => call === "book flight")).toHaveLength(1);
  });

  test("while the service stops and its store fails, nobody knows what became of it", async () => {
    const store = new BreakableStore(memory());
    const stopping = await travel(site.world).start({ store: store.driver });
    const to = createGateway([stopping]);
    store.failing = "unavailable";
    const start = site.post("/sagas/book-trip/t-1", trip, {}, to);
    expect(await isHeld(start)).toBe(true);
    const stopped = stopping.stop();
    const answer = await start;
    expect([codeOf(answer), answer.headers.get("retry-after")]).toEqual([[503, "outcome_unknown"], "1"]);
    store.failing = undefined;
    await stopped;
  });
});

describe("reading", () => {
  test("what has not changed is 304, at once or after the time that it was waited for", async () => {
    const path = await site.waiting("a-1");
    const { headers } = await site.get(path);
    const known = { "If-None-Match": headers.get("etag")! };
    const unchanged = await site.get(path, known);
    expect([unchanged.status, unchanged.text, unchanged.headers.get("etag")]).toEqual([304, "", headers.get("etag")]);
    expect(Number(unchanged.headers.get("retry-after"))).toBeGreaterThan(0);
    const startedAt = performance.now();
    expect((await site.get(path, { ...known, Prefer: "wait=0.2" })).status).toBe(304);
    expect(performance.now() - startedAt).toBeGreaterThan(150);
  });

  test("an answer is held back until the saga differs from the one known, and without one until it has ended", async () => {
    const path = await site.waiting("a-1");
    const known = { "If-None-Match": (await site.get(path)).headers.get("etag")! };
    const news = site.get(path, { ...known, Prefer: "wait=20" });
    const end = site.ended(path);
    expect(await isHeld(news)).toBe(true);
    await site.post(`${path}/signals/decided`, { by: "ada" });
    const changed = await news;
    expect([changed.status, changed.headers.get("etag") === known["If-None-Match"]]).toEqual([200, false]);
    expect(await isHeld(end)).toBe(true);
    await site.post(`${path}/signals/decided`, { by: "bob" });
    expect(sagaOf(await end)).toMatchObject({ status: "completed", result: { amount: 3, by: ["ada", "bob"] } });
    // What has ended changes no more: nobody is kept waiting for it.
    expect((await site.get(path, { "If-None-Match": (await site.get(path)).headers.get("etag")!, Prefer: "wait=20" })).status).toBe(304);
  });

  test("another gateway of the same store answers, and is told of news, just as well", async () => {
    const place = newPlace();
    const store = () => sqlite(join(place, "travel.db"));
    const [one, other] = [await travel(site.world).start({ store: store() }), await travel(new World()).start({ store: store() })];
    onTestFinished(async () => {
      await one.stop();
      await other.stop();
    });
    const [here, there] = [createGateway([one]), createGateway([other])];
    await site.post("/sagas/approval/a-1", { amount: 3 }, {}, here);
    const end = site.get("/sagas/approval/a-1", { Prefer: "wait=20" }, there);
    for (const by of ["ada", "bob"]) expect((await site.post("/sagas/approval/a-1/signals/decided", { by }, {}, there)).status).toBe(202);
    expect(sagaOf(await end)).toMatchObject({ status: "completed", result: { by: ["ada", "bob"] } });
    expect(sagaOf(await site.post("/sagas/approval/a-1", { amount: 3 }, {}, there)).repeated).toBe(true);
  });

  test("a gateway that ends keeps nobody waiting", async () => {
    const path = await site.waiting("a-1");
    const end = site.ended(path);
    expect(await isHeld(end)).toBe(true);
    site.gateway.end();
    const answer = await end;
    expect([answer.status, sagaOf(answer).status]).toEqual([200, "running"]);
  });

  test("a token of history that is gone is refused, like one that is none", async () => {
    const path = await site.waiting("a-1");
    const gone = (await site.get(path)).body.token.replace(/^([^.]+)\.[^.]+/, "$1.elsewhere");
    for (const headers of [{ "Consistency-Token": gone }, { "Consistency-Token": "x" }])
      for (const answer of [await site.get(path, headers), await site.post(`${path}/signals/decided`, {}, headers)])
        expect(answer.status).toBeGreaterThanOrEqual(400);
    expect((await site.get(path, { "Consistency-Token": (await site.get(path)).body.token })).status).toBe(200);
  });
});

describe("telling", () => {
  test("a signal under a key is heard once, also when it is sent again after the end", async () => {
    const path = await site.waiting("a-1");
    const signal = (by: string, key: string) => site.post(`${path}/signals/decided`, { by }, { "Idempotency-Key": key });
    expect(sagaOf(await signal("ada", "k-1")).repeated).toBe(false);
    const again = await signal("ada", "k-1");
    expect([again.status, sagaOf(again).repeated]).toEqual([202, true]);
    expect(codeOf(await signal("eve", "k-1"))).toEqual([422, "idempotency_key_reused"]);
    expect(sagaOf(await site.get(path)).status).toBe("running");
    await signal("bob", "k-2");
    expect(sagaOf(await site.ended(path))).toMatchObject({ status: "completed", result: { by: ["ada", "bob"] } });
    expect(sagaOf(await signal("bob", "k-2"))).toMatchObject({ id: "a-1", repeated: true });
    expect(codeOf(await signal("cy", "k-3"))).toEqual([409, "saga_ended"]);
  });

  test("a signal may have no body, and any JSON value as one", async () => {
    const path = await site.waiting("a-1");
    for (const body of [undefined, { by: "ada" }]) expect((await site.post(`${path}/signals/decided`, body)).status).toBe(202);
    expect(sagaOf(await site.ended(path)).result).toEqual({ amount: 3, by: ["nobody", "ada"] });
  });

  test("one that is cancelled undoes what it did, and says why", async () => {
    const path = await site.waiting("a-1");
    const cancelled = await site.post(`${path}/cancel`, { reason: "changed my mind" }, { "Idempotency-Key": "k-1" });
    expect([cancelled.status, cancelled.headers.get("location")]).toEqual([202, path]);
    expect(sagaOf(await site.ended(path))).toMatchObject({ status: "compensated", cancelled: "changed my mind" });
    expect(site.world.calls).toEqual(["book hold", "cancel hold"]);
    expect(sagaOf(await site.post(`${path}/cancel`, { reason: "changed my mind" }, { "Idempotency-Key": "k-1" })).repeated).toBe(true);
    expect(codeOf(await site.post(`${path}/cancel`))).toEqual([409, "saga_ended"]);
    const other = await site.waiting("a-2");
    expect((await site.post(`${other}/cancel`)).status).toBe(202);
    expect(sagaOf(await site.ended(other)).cancelled).toBe("no reason given");
  });

  test("a parked one is tried again, or taken for resolved, by an operator whose name and reason are kept", async () => {
    site.world.behaviour.set("car", "refuses");
    site.world.behaviour.set("cancel hotel", "breaks");
    for (const id of ["t-1", "t-2"]) {
      await site.post(`/sagas/book-trip/${id}`, trip);
      const parked = await site.ended(`/sagas/book-trip/${id}`);
      expect([sagaOf(parked).status, parked.headers.get("retry-after")]).toEqual(["parked", null]);
    }
    expect(codeOf(await site.post("/sagas/book-trip/t-1/retry", {}))).toEqual([400, "invalid_input"]);
    const by = { "Convergent-Actor": "ada", "Idempotency-Key": "op-1" };
    expect((await site.post("/sagas/book-trip/t-1/resolve", { reason: "called the hotel" }, by)).status).toBe(202);
    expect(sagaOf(await site.ended("/sagas/book-trip/t-1"))).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { state: "resolved" }, { state: "failed" }],
    });
    expect(sagaOf(await site.post("/sagas/book-trip/t-1/resolve", { reason: "called the hotel" }, by)).repeated).toBe(true);
    expect(codeOf(await site.post("/sagas/book-trip/t-1/retry", { reason: "again" }))).toEqual([409, "saga_ended"]);
    site.world.behaviour.delete("cancel hotel");
    expect((await site.post("/sagas/book-trip/t-2/retry", { reason: "the desk is back" }, { "Convergent-Actor": "ada" })).status).toBe(202);
    expect(sagaOf(await site.ended("/sagas/book-trip/t-2"))).toMatchObject({ status: "compensated", steps: [{}, { state: "undone" }, {}] });
    const log = runtimeOf(site.running).log;
    const resumed = (await log.stream(streamOf("book-trip", "t-1"))).filter(({ type }) => type === "book-trip.resumed");
    expect(resumed.map(({ data }) => JSON.parse(data) as unknown)).toMatchObject([{ reason: "called the hotel", by: "ada" }]);
  });
});

describe("operators", () => {
  test("metrics count what sagas were asked, how many have not ended, and how long they took", async () => {
    await site.post("/sagas/book-trip/t-1", trip);
    await site.ended("/sagas/book-trip/t-1");
    await site.post("/sagas/book-trip/t-1", { ...trip, nights: 3 });
    await site.post("/sagas/book-trip/t-2", {});
    await site.waiting("a-1");
    const metrics = async (): Promise<string> => (await site.get("/metrics")).text;
    await expect.poll(metrics, { timeout: 10_000 }).toContain('convergent_sagas{saga="approval",state="running"} 1');
    const text = await metrics();
    for (const line of [
      'convergent_commands_total{entity="book-trip",command="start",outcome="accepted"} 1',
      'convergent_commands_total{entity="book-trip",command="start",outcome="rejected"} 1',
      'convergent_commands_total{entity="book-trip",command="start",outcome="invalid"} 1',
      'convergent_saga_runs{saga="approval"} 1',
      'convergent_sagas{saga="book-trip",state="parked"} 0',
    ])
      expect(text).toContain(line);
    expect(text).toMatch(/convergent_saga_seconds\{saga="book-trip",quantile="0.5"\} [\d.]+/);
    expect(text).toContain('convergent_http_answers_total{route="/sagas/{saga}/{id}",status="202"}');
  });

  test("those that are parked are found by their view", async () => {
    site.world.behaviour.set("car", "refuses");
    site.world.behaviour.set("cancel hotel", "breaks");
    await site.post("/sagas/book-trip/t-1", trip);
    await site.ended("/sagas/book-trip/t-1");
    const { body } = await site.get("/views/book-trip-unfinished?state=parked", { "Cache-Control": "no-cache", Prefer: "wait=5" });
    expect(body.value).toMatchObject([{ key: "t-1", value: { state: "parked", error: "the hotel desk is broken" } }]);
  });
});
