// A copy of the repository in which one file is wrong: sources and tests are copied, installed packages are linked to.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Mutant, patchesOf, pathOf } from "./mutant.ts";

const root = join(import.meta.dirname, "..", "..");
const left: ReadonlySet<string> = new Set(["node_modules", ".git", ".cache", "benchmarks", "coverage"]);

export class Sandbox {
  readonly folder: string;

  constructor() {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), "convergent-mutants-")));
    const isSource = (path: string): boolean => !/(?:^|\/)(?:node_modules|dist|\.cache)(?:\/|$)/.test(path.slice(root.length));
    for (const name of readdirSync(root))
      if (!left.has(name)) cpSync(join(root, name), join(this.folder, name), { recursive: true, filter: isSource });
    // Packages of this repository are the copies; everything else is where it was installed.
    this.#link("node_modules", (path) => !path.endsWith("/convergent") && !path.includes("/@convergent"));
    for (const workspace of ["packages", "examples"])
      for (const name of readdirSync(join(root, workspace))) this.#link(join(workspace, name, "node_modules"), () => true);
    const own = join(this.folder, "node_modules");
    mkdirSync(join(own, "@convergent"), { recursive: true });
    symlinkSync(join(this.folder, "packages", "convergent"), join(own, "convergent"));
    symlinkSync(join(this.folder, "packages", "server"), join(own, "@convergent", "server"));
  }

  /** Makes one file wrong; returns how to make it right again. Throws when the patch does not fit the file any more. */
  apply(mutant: Mutant): () => void {
    const path = join(this.folder, pathOf(mutant));
    const text = readFileSync(path, "utf8");
    let wrong = text;
    for (const { find, replace } of patchesOf(mutant)) {
      const places = wrong.split(find).length - 1;
      if (places !== 1) throw new Error(`the mutant ${mutant.name} does not fit: its text stands ${places} times in ${mutant.file}`);
      wrong = wrong.replace(find, () => replace);
    }
    writeFileSync(path, wrong);
    return () => writeFileSync(path, text);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #link(place: string, isWanted: (path: string) => boolean): void {
    const from = join(root, place);
    const to = join(this.folder, place);
    let names: string[];
    try {
      names = readdirSync(from);
    } catch {
      return; // it has none of its own
    }
    mkdirSync(dirname(to), { recursive: true });
    mkdirSync(to, { recursive: true });
    for (const name of names) if (isWanted(join(from, name))) symlinkSync(join(from, name), join(to, name));
  }
}
