// "React", as a reader would follow it: the component compiles, and shows in a browser's document what the page says, line by line.
import { document } from "../contracts/react/dom.ts";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render } from "@testing-library/react";
import { connect } from "convergent/client";
import { createElement, type FunctionComponent } from "react";
import { expect, onTestFinished, test } from "vitest";
import { blocksOf } from "./page-blocks.ts";
import { pageRun } from "./page-runs.ts";

test("docs/react.md: its component compiles and shows what the page says", { timeout: 120_000 }, async () => {
  const page = pageRun("react", { with: ["client"] });
  onTestFinished(() => page.end());
  expect(page.compile()).toBe("");
  const { open } = (await import(`${page.folder}/post.ts`)) as { open: () => Promise<{ url: string; close: () => Promise<void> }> };
  const { ParcelLabel } = (await import(`${page.folder}/parcel-label.tsx`)) as { ParcelLabel: FunctionComponent<Record<string, unknown>> };
  const { url, close } = await open();
  const client = connect(url) as unknown as Record<string, (id: string) => { seal(input: object): Promise<unknown> }>;
  const queries = new QueryClient();
  render(createElement(QueryClientProvider, { client: queries }, createElement(ParcelLabel, { client, id: "p-1" })));
  onTestFinished(async () => {
    cleanup();
    queries.clear();
    await close();
  });
  const text = (): string => [...document.querySelectorAll("li, p, button")].map(({ textContent }) => textContent).join(" ");
  const shown = [text()];
  const watching = new document.defaultView!.MutationObserver(() => {
    if (shown.at(-1) !== text()) shown.push(text());
  });
  watching.observe(document.body, { childList: true, subtree: true, characterData: true });
  const click = (): void => [...document.querySelectorAll("button")].at(-1)!.click();
  await expect.poll(() => text()).toBe("Fragile");
  click();
  await expect.poll(() => text()).toBe("fragile Fragile");
  await client["parcel"]!("p-1").seal({});
  click();
  await expect.poll(() => text()).toContain("sealed");
  const said = blocksOf("docs/react.md").find(({ language }) => language === "text")?.text;
  expect(`${shown.join("\n")}\n`).toBe(said);
});
