import { command, entity, reaction, service } from "convergent";
import { expect, test } from "vitest";
import { z } from "zod";
import { exportedServices, inOrder } from "./service-order.ts";

const thing = (name: string) =>
  entity(name, { initial: () => ({}), events: { done: z.object({}) } })
    .evolve({ done: (state) => state })
    .commands({ work: command(z.object({}), (_, input, emit) => emit.done(input)) });
const [a, b] = [thing("a"), thing("b")];
const bFollowsA = reaction("b-follows-a", { from: [a], to: { b } }).on({ "a.done": () => [] });
const aFollowsB = reaction("a-follows-b", { from: [b], to: { a } }).on({ "b.done": () => [] });

test("a service starts after those that it follows", () => {
  const [first, second] = [service("first", { parts: { a } }), service("second", { parts: { b, bFollowsA } })];
  expect(inOrder([second, first])).toEqual([first, second]);
});

test("services that follow one another in a circle are refused by name", () => {
  const circle = [service("first", { parts: { a, aFollowsB } }), service("second", { parts: { b, bFollowsA } })];
  expect(() => inOrder(circle)).toThrow(/first, second follow one another in a circle/);
});

test("services are found as exports, in lists and in a default export, once each", () => {
  const [first, second] = [service("first", { parts: { a } }), service("second", { parts: { b } })];
  for (const module of [
    { first, second },
    { services: [first, second] },
    { default: { services: [first, second] } },
    { first, default: second, all: [first, second], note: null },
  ])
    expect(
      exportedServices(module, "m.ts")
        .services.map(({ name }) => name)
        .sort(),
    ).toEqual(["first", "second"]);
  expect(exportedServices({ first, port: 4010 }, "m.ts").port).toBe(4010);
  expect(exportedServices({ default: { services: [first], port: 4011 } }, "m.ts").port).toBe(4011);
  expect(() => exportedServices({ default: {} }, "m.ts")).toThrow(/m\.ts exports no service/);
});
