// Two processes, one file, one form: each writes from what it saw last. Merged and retried commands lose nothing.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { blank, type Form, forms } from "./forms.ts";

interface Round {
  readonly saved: number;
  readonly marked: number;
  readonly merged: boolean;
}

class Editor {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  complaint = "";

  constructor(file: string, name: string) {
    const program = join(import.meta.dirname, "editor-process.ts");
    this.#child = spawn(process.execPath, ["--conditions=convergent-source", program, file, name], { stdio: "pipe" });
    onTestFinished(() => void this.#child.kill("SIGKILL"));
    this.#child.stderr?.on("data", (text: Buffer) => (this.complaint += text.toString()));
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the editor ended: ${this.complaint}`);
    return value;
  }

  async round(number: number): Promise<Round> {
    this.#child.stdin!.write(`${number}\n`);
    return JSON.parse(await this.line()) as Round;
  }
}

test("two processes that write from old states lose no change: merges keep both sides, retries decide on the present state", async () => {
  const place = mkdtempSync(join(tmpdir(), "convergent-editors-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  const file = join(place, "forms.db");
  const running = await forms.start({ store: sqlite(file) });
  onTestFinished(() => running.stop());
  await running.form("f-1").overwrite({ ...blank, text: "", lines: [] });
  const editors = ["a", "b"].map((name) => new Editor(file, name));
  for (const editor of editors) expect(await editor.line()).toBe("ready");

  const rounds: Round[] = [];
  for (let number = 1; number <= 25; number++) rounds.push(...(await Promise.all(editors.map((editor) => editor.round(number)))));

  // Of the two that begin a round at least one has not seen the other's last write.
  expect(rounds.filter(({ merged }) => merged).length).toBeGreaterThanOrEqual(25);
  const versions = rounds.flatMap(({ saved, marked }) => [saved, marked]).toSorted((one, other) => one - other);
  expect(versions).toEqual(Array.from({ length: 100 }, (_, index) => index + 2));
  const { state } = (await running.form.state("f-1")) as { state: Form };
  expect(state.lines.toSorted((one, other) => one.product.localeCompare(other.product))).toEqual([
    { product: "a", quantity: 25 },
    { product: "b", quantity: 25 },
  ]);
  expect(Array.from(state.text).toSorted().join("")).toBe("a".repeat(25) + "b".repeat(25));
});
