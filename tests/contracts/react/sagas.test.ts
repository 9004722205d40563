// A saga in a component: from its start to its end, on a real gateway.
import "./dom.ts";
import { createGateway } from "@convergent/server";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, renderHook } from "@testing-library/react";
import { type Client, connect } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { useSaga } from "convergent/react";
import { createElement, type ReactNode } from "react";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { networkTo } from "../client/shop.ts";
import { travel } from "../sagas/travel.ts";
import { World } from "../sagas/trip.ts";

afterEach(() => cleanup());

test("a saga is shown as it becomes once it has an id, up to its end", async () => {
  const service = travel(new World());
  const running = await service.start({ store: memory() });
  onTestFinished(() => running.stop());
  const way = networkTo(createGateway([running]));
  const client: Client<typeof service> = connect("http://localhost", { host: { ...nodeHost(), network: { request: way.request } } });
  const queries = new QueryClient();
  onTestFinished(() => queries.clear());
  const wrapper = ({ children }: { children: ReactNode }): ReactNode => createElement(QueryClientProvider, { client: queries }, children);
  const { result, rerender } = renderHook(({ id }) => useSaga(client.approval, id), {
    wrapper,
    initialProps: { id: undefined as string | undefined },
  });
  expect(result.current).toMatchObject({ status: "idle", value: undefined });
  const { id } = await client.approval.start(undefined, { amount: 3 });
  rerender({ id });
  await expect.poll(() => result.current.status).toBe("running");
  for (const by of ["ada", "bob"]) await client.approval.signal(id, "decided", { by });
  await expect.poll(() => result.current).toMatchObject({ status: "completed", value: { result: { amount: 3, by: ["ada", "bob"] } } });
  const asked = way.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(way.requests).toHaveLength(asked);
});
