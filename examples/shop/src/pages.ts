/**
 * The pages, built when the shop starts: a process of its own runs Vite (about a second, its memory is given back),
 * and hands over the files, which are served from memory. Nothing built lies about that could be older than its source.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import type { BuiltFile } from "./build-pages.ts";
import { ShopProblem } from "./shop-problem.ts";

/** The files of the pages by their address: `/`, `/agent`, `/life`, `/assets/…`. */
export type Pages = ReadonlyMap<string, { readonly type: string; readonly body: string; readonly immutable: boolean }>;

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

const addresses: Readonly<Record<string, string>> = { "index.html": "/", "agent.html": "/agent", "life.html": "/life" };

/** Builds the pages. Throws a `ShopProblem` with what the build said when it fails. */
export async function buildPages(): Promise<Pages> {
  const files = await builtFiles();
  return new Map(
    files.map(({ name, body }) => [
      addresses[name] ?? `/${name}`,
      { type: types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream", body, immutable: name.startsWith("assets/") },
    ]),
  );
}

function builtFiles(): Promise<readonly BuiltFile[]> {
  return new Promise((resolve, reject) => {
    let said = "";
    let files: readonly BuiltFile[] | undefined;
    const child = fork(join(import.meta.dirname, "build-pages.ts"), { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (said += chunk.toString()));
    child.on("message", (message) => (files = message as readonly BuiltFile[]));
    child.on("error", reject);
    child.on("close", () => {
      if (files) resolve(files);
      else reject(new ShopProblem(`The pages could not be built; is everything installed (npm install)?\n${said.trim()}`));
    });
  });
}
