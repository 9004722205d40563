// "Your first service in ten minutes", block by block, as a newcomer would: the packages are built and packed, every file is saved, every
// command is run, and what the page shows is compared with what comes. Only the installation is not: what `npm install`
// would fetch is linked from this repository, so that no registry is asked.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Block, blocksOf, isShown } from "./page-blocks.ts";

const root = join(import.meta.dirname, "..", "..");
const blocks = blocksOf(join(root, "docs", "first-service.md"));
const place = mkdtempSync(join(tmpdir(), "convergent-first-service-"));
const folder = join(place, "library");
const modules = join(folder, "node_modules");
let port = 0;
let server: ChildProcess | undefined;

beforeAll(async () => {
  port = await freePort();
});
afterAll(async () => {
  await stopServer();
  rmSync(place, { recursive: true, force: true });
});

test("the page has files, commands and answers", () => {
  expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(["sh", "ts", "text", "json"]));
  expect(blocks.filter(({ language, info }) => language === "sh" && info === "in-background").length).toBeGreaterThan(1);
});

interface Step {
  readonly title: string;
  readonly block: Block;
  /** What the page shows as its output. */
  readonly answer: Block | undefined;
}

const steps = blocks.flatMap((block, index): Step[] => {
  const next = blocks[index + 1];
  const isAnswer = (other: Block | undefined): boolean => other?.info === "" && /^(?:text|json)$/.test(other.language);
  if (isAnswer(block)) return [];
  const title = `${block.heading} (${index + 1} of ${blocks.length}): ${block.language === "sh" ? (block.text.split("\n")[0] ?? "") : block.info}`;
  return [{ title, block, answer: isAnswer(next) ? next : undefined }];
});

test.each(steps)("$title", async (step) => expect(await problemOf(step)).toBeUndefined(), 60_000);

/** Does a step; answers with what went otherwise than the page says. */
async function problemOf({ block, answer }: Step): Promise<unknown> {
  if (block.language !== "sh") return writeFileSync(join(folder, block.info), here(block.text));
  switch (block.info) {
    case "in-clone": {
      // Built where it is built for publishing, and packed into the test's own folder.
      const packed = shell(block.text.replace("/tmp", place), root);
      return packed.status === 0 ? undefined : packed;
    }
    case "install":
      return install(block);
    case "in-background": {
      await stopServer();
      const output = await started(block);
      return answer && !isShown(withPort(answer), output) ? { shown: answer.text, output } : undefined;
    }
    default:
      return run(block, answer);
  }
}

async function run(block: Block, answer: Block | undefined): Promise<unknown> {
  const deadline = performance.now() + (block.info === "eventually" ? 20_000 : 0);
  for (;;) {
    const ended = shell(here(block.text), folder);
    if (ended.status === 0 && (!answer || isShown(withPort(answer), ended.stdout))) return undefined;
    if (performance.now() > deadline) return { shown: answer?.text, ...ended };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

// The page's own commands make the folder; of the last one, every package is put where npm would have put it.
function install({ text }: Block): unknown {
  const commands = text.trimEnd().split("\n");
  const named = (commands.pop() ?? "").split(" ").filter((word) => word.startsWith("/tmp/"));
  const prepared = shell(commands.join("\n"), place);
  if (prepared.status !== 0) return prepared;
  mkdirSync(join(modules, "@convergent"), { recursive: true });
  for (const name of named) {
    const target = join(modules, name.includes("server") ? "@convergent/server" : "convergent");
    mkdirSync(target);
    const unpacked = shell(`tar xzf "${name.replace("/tmp", place)}" --strip-components=1 -C "${target}"`, place);
    if (unpacked.status !== 0) return unpacked;
  }
  linkDependencies();
  return undefined;
}

function linkDependencies(): void {
  const ours = new Set(["convergent", "@convergent", ".bin", ".package-lock.json"]);
  const others = readdirSync(join(root, "node_modules")).filter((name) => !ours.has(name));
  for (const name of others) symlinkSync(join(root, "node_modules", name), join(modules, name));
  mkdirSync(join(modules, ".bin"));
  for (const name of ["node", "tsc"]) symlinkSync(join(root, "node_modules/.bin", name), join(modules, ".bin", name));
  const { bin } = JSON.parse(readFileSync(join(modules, "@convergent/server/package.json"), "utf8")) as { bin: { convergent: string } };
  const main = join(modules, "@convergent/server", bin.convergent);
  chmodSync(main, 0o755);
  symlinkSync(main, join(modules, ".bin/convergent"));
}

function started({ text }: Block): Promise<string> {
  const child = spawn("bash", ["-c", here(text)], {
    cwd: folder,
    env: environment({ PORT: String(port) }),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  server = child;
  return new Promise((resolve, reject) => {
    let output = "";
    let complaint = "";
    child.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
    child.on("close", () => reject(new Error(`the server ended: ${output}${complaint}`)));
    child.stdout.on("data", (data: Buffer) => {
      output += data.toString();
      if (output.includes("Ctrl-C stops it")) resolve(output);
    });
  });
}

async function stopServer(): Promise<void> {
  const child = server;
  server = undefined;
  if (!child?.pid || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.on("close", resolve));
  process.kill(-child.pid, "SIGINT");
  const timer = setTimeout(() => process.kill(-(child.pid as number), "SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
}

// One terminal: what a block sets, later ones know.
function shell(script: string, cwd: string): { status: number | null; stdout: string; stderr: string } {
  const variables = join(place, "variables.sh");
  const whole = `set -e\n[ -f "${variables}" ] && . "${variables}"\nset -a\n${script}\nset +a\nexport -p > "${variables}"`;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", whole], { cwd, env: environment(), encoding: "utf8", timeout: 55_000 });
  return { status, stdout, stderr };
}

function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const path = [join(modules, ".bin"), join(root, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter);
  const { NODE_OPTIONS: _, ...own } = process.env;
  return { ...own, PATH: path, NO_COLOR: "1", ...more };
}

/** The page's port, as this test has it. */
function here(text: string): string {
  return text.replaceAll(/(?<=localhost|127\.0\.0\.1):4000/g, `:${port}`);
}

function withPort(block: Block): Block {
  return { ...block, text: here(block.text) };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port: free } = probe.address() as { port: number };
      probe.close(() => resolve(free));
    });
  });
}
