// The rules about files that no syntax tree shows: names, sizes, and reasons for suppressions. Part of `npm run lint`.
import { globSync, readFileSync } from "node:fs";
import { basename, join, sep } from "node:path";

/** Source files stay readable in one sitting; tests and generated files may be longer. */
const sourceLinesMax = 450;

const forbiddenNames = new Set(["utils", "util", "helpers", "helper", "common", "misc", "lib", "types"]);

const suppression =
  /(?:oxlint|eslint)-disable(?:-next-line|-line)?\b(?<disabled>.*)|@ts-(?:expect-error|ignore|nocheck)\b(?<typed>.*)|biome-ignore\b(?<formatted>.*)|v8 ignore\b(?<uncovered>.*)/;

export type Problem = { readonly path: string; readonly line: number; readonly message: string };

/** Problems of one file; `path` is relative to the repository and written with `/`. */
export function checkText(path: string, text: string): Problem[] {
  return [...checkNames(path), ...checkSize(path, text), ...checkSuppressions(path, text)];
}

function checkNames(path: string): Problem[] {
  const problems: Problem[] = [];
  const folders = path.split("/").slice(0, -1);
  const stem = basename(path).replace(/\..*$/, "");
  for (const name of [...folders, stem]) {
    // tests/types is the folder of type tests, named so by the design.
    if (forbiddenNames.has(name) && !(name === "types" && path.startsWith("tests/types/"))) {
      problems.push({ path, line: 1, message: `\`${name}\` says nothing about what is inside: name the file or folder after its concept` });
    }
  }
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(stem)) problems.push({ path, line: 1, message: "file names are kebab-case" });
  return problems;
}

function checkSize(path: string, text: string): Problem[] {
  if (!/^packages\/[^/]+\/src\//.test(path) || /\.test\.tsx?$/.test(path)) return [];
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  if (lines <= sourceLinesMax) return [];
  return [{ path, line: sourceLinesMax + 1, message: `${lines} lines; at most ${sourceLinesMax}: split the file along its nouns` }];
}

function checkSuppressions(path: string, text: string): Problem[] {
  const problems: Problem[] = [];
  for (const [index, content] of text.split("\n").entries()) {
    const groups = /(?:\/\/|\/\*|^\s*\*|\{\/\*)/.test(content) ? suppression.exec(content)?.groups : undefined;
    if (groups === undefined) continue;
    const line = index + 1;
    const disabled = groups["disabled"];
    if (disabled !== undefined) {
      const [rules = "", reason = ""] = disabled.replace(/\*\/.*$/, "").split(/\s--\s/, 2);
      if (rules.trim() === "") problems.push({ path, line, message: "name the rules that are disabled" });
      if (/\bconvergent\/layers\b/.test(rules))
        problems.push({ path, line, message: "the order of layers is not suppressed: move the code, or change tools/lint/layers.ts" });
      if (reason.trim() === "") problems.push({ path, line, message: "say why, after ` -- `" });
      continue;
    }
    const reason = (groups["typed"] ?? groups["formatted"] ?? groups["uncovered"] ?? "").replace(/\*\/.*$/, "");
    if (!/[a-z]{2,}\s+[a-z]/i.test(reason)) problems.push({ path, line, message: "a suppression says why, in the same comment" });
  }
  return problems;
}

/** Every source of the repository, whatever its workspace. */
function sourcePaths(root: string): string[] {
  const exclude = (name: string): boolean => /(?:^|[\\/])(?:node_modules|dist|coverage)$/.test(name);
  return globSync("{packages,examples,benchmarks,tests,tools}/**/*.{ts,tsx,mts,js,mjs}", { cwd: root, exclude })
    .map((path) => path.split(sep).join("/"))
    .toSorted();
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  const paths = sourcePaths(root);
  const problems = paths.flatMap((path) => checkText(path, readFileSync(join(root, path), "utf8")));
  for (const { path, line, message } of problems) console.error(`${path}:${line}: ${message}`);
  console.log(`lint-text: ${paths.length} files, ${problems.length} problems`);
  if (problems.length > 0) process.exitCode = 1;
}
