/**
 * A page of the documentation, followed as a reader would: its files are saved in one folder and compiled, its commands are run
 * there in the page's order, and what they print is compared with what the page shows below them.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf, isShown } from "./page-blocks.ts";

const root = join(import.meta.dirname, "..", "..");
const settings = {
  extends: "../../tsconfig.check-base.json",
  compilerOptions: { composite: false, incremental: false, noEmit: true, jsx: "react-jsx" },
  include: ["*.ts", "*.tsx"],
};

export interface PageRun {
  /** Where its files are. */
  readonly folder: string;
  /** Blocks of code that are no file. */
  readonly fragments: readonly string[];
  /** What the compiler complains of. */
  compile(): string;
  /** Commands that failed, or printed something else than the page shows. */
  run(): unknown[];
  end(): void;
}

const isCode = (language: string): boolean => language === "ts" || language === "tsx";

/** Saves the files of `docs/<name>.md`, and of the pages that it refers to. Commands in blocks with a word behind `sh` are shown only. */
export function pageRun(name: string, options: { readonly with?: readonly string[] } = {}): PageRun {
  const blocks = blocksOf(join(root, "docs", `${name}.md`));
  const others = (options.with ?? []).flatMap((other) => blocksOf(join(root, "docs", `${other}.md`)));
  // Inside the repository, so that the packages are found.
  const folder = mkdtempSync(join(root, "examples", `page-${name}-`));
  for (const { language, info, text } of [...others, ...blocks])
    if (isCode(language) && info !== "") writeFileSync(join(folder, info), text);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
  const programs = join(folder, "bin");
  mkdirSync(programs);
  const node = `exec "${process.execPath}" --conditions=convergent-source`;
  writeFileSync(join(programs, "node"), `#!/bin/sh\n${node} "$@"\n`, { mode: 0o755 });
  writeFileSync(join(programs, "convergent"), `#!/bin/sh\n${node} "${join(root, "packages/server/src/cli/main.ts")}" "$@"\n`, {
    mode: 0o755,
  });
  const env = {
    ...process.env,
    PATH: `${programs}:${process.env["PATH"]}`,
    NO_COLOR: "1",
    DATABASE_URL: process.env["CONVERGENT_TEST_DATABASE"],
  };
  return {
    folder,
    fragments: blocks.flatMap(({ language, info, text }) => (isCode(language) && info === "" ? [text] : [])),
    compile: () => spawnSync(join(root, "node_modules", ".bin", "tsc"), ["--noEmit", "-p", folder], { encoding: "utf8" }).stdout,
    run: () =>
      blocks.flatMap(({ language, info, text }, index) => {
        if (language !== "sh" || info !== "") return [];
        const { status, stdout, stderr } = spawnSync("sh", ["-e", "-c", text], { cwd: folder, env, encoding: "utf8", timeout: 55_000 });
        const next = blocks[index + 1];
        const isAsShown = next?.language !== "text" || isShown(next, stdout);
        return status === 0 && stderr === "" && isAsShown ? [] : [{ text, status, stdout, stderr, shown: next?.text }];
      }),
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
}
