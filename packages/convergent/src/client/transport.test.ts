// How a request is sent again: when, how long, and what is thrown in the end.
import { expect, test } from "vitest";
import { ConvergentError } from "../errors/error.ts";
import { answer, failure, lost, placed, problem, world } from "./scripted-gateway.fixture.ts";

test("a command whose reply was lost is repeated with the same key, body and condition until it is answered", async () => {
  const gateway = world((_, count) => (count < 4 ? lost() : placed(1, { repeated: true })));
  const outcome = await gateway.run(gateway.client().order("o-1").place({ total: 3 }, { id: "mine", expected: "none" }));
  expect(outcome).toMatchObject({ kind: "accepted", repeated: true });
  expect(gateway.requests).toHaveLength(4);
  for (const { headers, body } of gateway.requests) {
    expect(headers).toMatchObject({ "idempotency-key": "mine", "if-none-match": "*" });
    expect(body).toBe('{"total":3}');
  }
});

test("an unknown outcome, an outage, a running twin and an answer that is cut off are repeated; the waits grow", async () => {
  const answers = [
    problem(503, "outcome_unknown", { retry: "later" }),
    problem(503, "unavailable", { retry: "later" }),
    problem(409, "in_progress", { retry: "later" }),
    answer(200, '{"state":{"sta'),
    answer(200, { state: {}, version: 1, events: [], token: "orders.e1.9" }),
    answer(502, "<html>Bad Gateway</html>"),
    answer(500, { type: "about:blank", status: 500, detail: "failed" }),
    placed(),
  ];
  const gateway = world((_, count) => answers[count - 1]!);
  expect((await gateway.run(gateway.client().order("o-1").place({ total: 1 }))).kind).toBe("accepted");
  expect(new Set(gateway.requests.map((request) => request.headers["idempotency-key"])).size).toBe(1);
  const waits = gateway.times.slice(1).map((time, index) => time - gateway.times[index]!);
  expect(waits).toEqual([75, 150, 300, 600, 1200, 2400, 3750]);
});

test("Retry-After is waited out, in exact milliseconds when they are given", async () => {
  const gateway = world((_, count) => {
    if (count === 1) return problem(503, "unavailable", {}, { "retry-after": "2" });
    return count === 2 ? problem(503, "unavailable", {}, { "retry-after": "9", "retry-after-ms": "1234" }) : placed();
  });
  await gateway.run(gateway.client().order("o-1").place({ total: 1 }));
  expect(gateway.times).toEqual([0, 2000, 3234]);
});

test("past the limit a command ends as outcome_unknown with its id, so that it can be repeated later", async () => {
  let up = false;
  const gateway = world(() => (up ? placed(1, { repeated: true }) : lost()));
  const client = gateway.client();
  const error = await gateway.run(failure(client.order("o-1").place({ total: 1 })));
  expect(error).toMatchObject({ code: "outcome_unknown", details: { id: "id-1" } });
  expect(error.message).toContain('order("o-1").place');
  expect(error.message).toContain("connection reset");
  expect(gateway.now).toBeGreaterThan(20_000);
  expect(gateway.now).toBeLessThanOrEqual(30_000);
  up = true;
  expect(await gateway.run(client.order("o-1").place({ total: 1 }, { id: String(error.details["id"]) }))).toMatchObject({ repeated: true });
  expect(gateway.last.headers["idempotency-key"]).toBe("id-1");
});

test("an attempt that takes too long is given up and repeated", async () => {
  const gateway = world(async (_, count) => {
    if (count === 1) await gateway.sleep(60_000);
    return placed();
  });
  await gateway.run(gateway.client({ timeout: "3s" }).order("o-1").place({ total: 1 }));
  expect(gateway.times).toEqual([0, 3075]);
});

test("headers that expire are asked for before every attempt", async () => {
  const gateway = world((_, count) => (count === 1 ? problem(503, "unavailable", { retry: "later" }) : placed()));
  const sent: string[] = [];
  const headers = async (): Promise<Record<string, string>> => {
    const authorization = `Bearer ${sent.length + 1}`;
    sent.push(authorization);
    return { authorization };
  };
  await gateway.run(gateway.client({ actor: "ada", headers }).order("o-1").place({ total: 1 }));
  expect(gateway.last).toMatchObject({ headers: { authorization: sent.at(-1), "convergent-actor": "ada" } });
  expect(sent.length).toBeGreaterThanOrEqual(2);
});

test("headers that cannot be had fail the call at once, as unknown when the command may have taken effect", async () => {
  const headers = (): never => {
    throw new ConvergentError("unauthenticated", "no session");
  };
  const gateway = world(() => placed());
  expect(await gateway.run(failure(gateway.client({ headers }).order("o-1").place({ total: 1 })))).toMatchObject({ message: "no session" });
  expect(gateway.requests).toEqual([]);
  let calls = 0;
  const expiring = (): Record<string, string> => (++calls > 2 ? headers() : {});
  const unsure = world((_, count) => (count === 1 ? lost() : placed()));
  expect(await unsure.run(failure(unsure.client({ headers: expiring }).order("o-1").place({ total: 1 })))).toMatchObject({
    code: "outcome_unknown",
  });
});

test("a caller who asks too often waits as long as the server says, and asks again", async () => {
  const gateway = world((_, count) =>
    count === 1 ? problem(429, "too_many_requests", { retry: "later" }, { "retry-after": "7" }) : placed(),
  );
  expect(await gateway.run(gateway.client().order("o-1").place({ total: 1 }))).toMatchObject({ kind: "accepted" });
  expect(gateway.times).toEqual([0, 7000]);
});

test("when every attempt says that nothing was written, that is what is thrown, with the id", async () => {
  const gateway = world(() => problem(503, "disk_full", { retry: "later" }));
  expect(await gateway.run(failure(gateway.client({ retryFor: "1s" }).order("o-1").place({ total: 1 })))).toMatchObject({
    code: "disk_full",
    details: { id: "id-1" },
  });
  const unsure = world((_, count) => (count === 1 ? lost() : problem(503, "disk_full", { retry: "later" })));
  expect(await unsure.run(failure(unsure.client({ retryFor: "1s" }).order("o-1").place({ total: 1 })))).toMatchObject({
    code: "outcome_unknown",
  });
});

test("a refusal that is not about the command leaves an earlier attempt's outcome unknown", async () => {
  const login = world((_, count) => (count === 1 ? lost() : answer(401, "<h1>Please log in</h1>")));
  expect(await login.run(failure(login.client().order("o-1").place({ total: 1 })))).toMatchObject({
    code: "outcome_unknown",
    details: { id: "id-1" },
    cause: { code: "forbidden" },
  });
  const decided = world((_, count) => (count === 1 ? lost() : problem(409, "rejected", { reason: "closed" })));
  expect(await decided.run(decided.client().order("o-1").place({ total: 1 }))).toEqual({ kind: "rejected", reason: "closed" });
});

test("a read is repeated likewise and ends as unavailable", async () => {
  const gateway = world(() => lost());
  const error = await gateway.run(failure(gateway.client({ retryFor: "3s" }).orderSummary.get("o-1")));
  expect(error.code).toBe("unavailable");
  expect(error.details["id"]).toBeUndefined();
  expect(gateway.requests.length).toBeGreaterThan(3);
  expect(gateway.now).toBeLessThanOrEqual(3000);
});

test("an answer in the range 4xx is final", async () => {
  for (const [status, code] of [
    [400, "invalid_input"],
    [401, "who_are_you"],
    [403, "forbidden"],
    [404, "not_found"],
    [409, "id_voided"],
    [413, "payload_too_large"],
    [422, "idempotency_key_reused"],
    [429, "slow_down"],
  ] as const) {
    const gateway = world(() => problem(status, code, { retry: status === 429 ? "later" : "never" }));
    await gateway.run(failure(gateway.client().order("o-1").place({ total: 1 })));
    expect(gateway.requests).toHaveLength(1);
  }
  const html = world(() => answer(413, "<html>too large</html>"));
  expect(await html.run(failure(html.client().order("o-1").place({ total: 1 })))).toMatchObject({ code: "payload_too_large" });
});

test("a strict read that is not fresh is answered with its error at once", async () => {
  const gateway = world(() => problem(503, "not_fresh", { asOf: 3 }, { "retry-after": "5" }));
  expect(await gateway.run(failure(gateway.client().orderSummary.get("o-1", { stale: "error", wait: "250ms" })))).toMatchObject({
    code: "not_fresh",
    details: { asOf: 3 },
  });
  expect(gateway.last.headers["prefer"]).toBe("wait=0.25, handling=strict");
  expect(gateway.requests).toHaveLength(1);
});

test("cancelling ends a wait at once with the signal's reason", async () => {
  const controller = new AbortController();
  const gateway = world(() => {
    if (gateway.requests.length === 2) controller.abort(new Error("changed my mind"));
    return lost();
  });
  await expect(gateway.run(gateway.client().order("o-1").place({ total: 1 }, { signal: controller.signal }))).rejects.toThrow(
    "changed my mind",
  );
  expect(gateway.requests).toHaveLength(2);
  await expect(gateway.run(gateway.client().orderSummary.get("o-1", { signal: controller.signal }))).rejects.toThrow("changed my mind");
  expect(gateway.requests).toHaveLength(2);
});
