/**
 * What the packages export, and the sentence that an editor shows for each: read from the sources, because the
 * compiler's own interface is not part of TypeScript 7. It understands the forms that this repository uses: index files of named
 * exports, and declarations at the beginning of a line.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A declaration, and the comment right before it. */
export interface Declaration {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** The text of its doc comment, without stars; empty when there is none. */
  readonly doc: string;
  /** Its members, when it is an interface. */
  readonly members: readonly Declaration[];
}

interface PackageJson {
  readonly name: string;
  readonly exports: Readonly<Record<string, { readonly "convergent-source": string }>>;
}

/** The entry points of a package, by the name under which it is imported. */
export function entryPointsOf(packageFolder: string): ReadonlyMap<string, string> {
  const { name, exports } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as PackageJson;
  return new Map(
    Object.entries(exports).map(([path, target]) => [join(name, path), join(packageFolder, target["convergent-source"])] as const),
  );
}

/** Every declaration that an entry point exports. */
export function exportsOf(entry: string): Declaration[] {
  const text = readFileSync(entry, "utf8");
  const own = declarationsOf(entry);
  const named = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)";/gms)].flatMap(([, names = "", from = ""]) =>
    names
      .split(",")
      .map((name) => name.trim().replace(/^type /, ""))
      .filter((name) => name !== "")
      .map((name) => found(name.split(" as ")[0] as string, join(dirname(entry), from))),
  );
  const spaces = [...text.matchAll(/^export \* as \w+ from "([^"]+)";/gm)].flatMap(([, from = ""]) =>
    declarationsOf(join(dirname(entry), from)),
  );
  return [...own, ...named, ...spaces];
}

function found(name: string, file: string): Declaration {
  const declaration = declarationsOf(file).find((candidate) => candidate.name === name);
  if (!declaration) throw new Error(`${file} declares no "${name}" that this test could find`);
  return declaration;
}

const declared = /^export (?:declare )?(?:abstract )?(?:async )?(?:class|interface|function\*?|const|type) (\w+)/;

function declarationsOf(file: string): Declaration[] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.flatMap((line, index): Declaration[] => {
    const name = declared.exec(line)?.[1];
    if (name === undefined) return [];
    const members = line.startsWith("export interface ") ? membersOf(lines, index, file) : [];
    return [{ name, file, line: index + 1, doc: docBefore(lines, index), members }];
  });
}

function membersOf(lines: readonly string[], start: number, file: string): Declaration[] {
  if (lines[start]?.endsWith("}")) return [];
  const end = lines.findIndex((line, index) => index > start && line.startsWith("}"));
  return lines.slice(start + 1, end).flatMap((line, offset): Declaration[] => {
    const name = /^ {2}(?:readonly |get )?(\w+)\??[:(<]/.exec(line)?.[1];
    const index = start + 1 + offset;
    return name === undefined ? [] : [{ name, file, line: index + 1, doc: docBefore(lines, index), members: [] }];
  });
}

function docBefore(lines: readonly string[], index: number): string {
  let end = index - 1;
  // Suppressions stand between a comment and what it is about.
  while (/^\s*\/\/ (?:oxlint|biome)/.test(lines[end] ?? "")) end--;
  if (!/\*\/\s*$/.test(lines[end] ?? "")) return "";
  let start = end;
  while (start >= 0 && !/^\s*\/\*\*/.test(lines[start] as string)) start--;
  if (start < 0) return "";
  const text = lines
    .slice(start, end + 1)
    .join("\n")
    .replaceAll(/^\s*\/\*\*|\*\/\s*$|^\s*\* ?/gm, "");
  return text.trim();
}
