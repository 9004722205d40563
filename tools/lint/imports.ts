// What both rules need from oxlint: the shape of the syntax tree as far as they read it, where a file lies, and every import of a file.
import { sep } from "node:path";

export type Node = { readonly type: string; readonly parent?: Node; readonly [key: string]: unknown };

export type Reference = {
  readonly identifier: Node & { readonly name: string };
  readonly isTypeReference?: boolean;
  readonly isValueReference?: boolean;
};

export type Context = {
  readonly filename: string;
  readonly sourceCode: {
    readonly scopeManager: {
      readonly globalScope: {
        readonly through: readonly Reference[];
        readonly variables: readonly { readonly defs: readonly unknown[]; readonly references: readonly Reference[] }[];
      } | null;
    };
  };
  report(problem: { node: Node; message: string }): void;
};

export type Visitor = Record<string, (node: Node) => void>;

/** `names` are the imported names, or "everything" for a namespace, a default, a re-export of all and a dynamic import. */
type Import = { readonly node: Node; readonly specifier: string; readonly names: readonly string[] | "everything" };

/** `path` is relative to the package's `src`, written with `/`; `room` is its first folder, none for src/index.ts. */
type Place = {
  readonly packageFolder: string;
  readonly isToolkit: boolean;
  readonly path: string;
  readonly room: string | undefined;
  readonly isTest: boolean;
};

/** Where a source file of a package or an example lies; undefined for every other file. */
export function placeOf(filename: string): Place | undefined {
  const found = /^(?<packageFolder>.*\/(?:packages|examples)\/(?<name>[^/]+))\/src\/(?<path>.+)$/.exec(withSlashes(filename))?.groups;
  if (found === undefined) return undefined;
  const { packageFolder = "", name = "", path = "" } = found;
  return {
    packageFolder,
    isToolkit: name === "convergent" && packageFolder.endsWith("/packages/convergent"),
    path,
    room: roomOf(path),
    isTest: /\.(?:test|fixture)\.tsx?$/.test(path),
  };
}

export function withSlashes(path: string): string {
  return path.split(sep).join("/");
}

/** The references to what the file does not declare: those that nothing declares, and those to the globals that oxlint knows. */
export function globalReferences({ sourceCode }: Context): Reference[] {
  const scope = sourceCode.scopeManager.globalScope;
  if (scope === null) return [];
  const known = scope.variables.filter(({ defs }) => defs.length === 0).flatMap(({ references }) => references);
  return [...new Set([...scope.through, ...known])];
}

/** The first folder of a path inside `src`. */
export function roomOf(path: string): string | undefined {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : undefined;
}

/** The text of an identifier or of a string literal. */
export function nameOf(node: unknown): string {
  const { name, value } = node as { name?: string; value?: string };
  return name ?? value ?? "";
}

function literalOf(node: unknown): string | undefined {
  const { value, quasis } = (node ?? {}) as { value?: unknown; quasis?: { value: { cooked: string } }[] };
  if (typeof value === "string") return value;
  return quasis?.length === 1 ? quasis[0]?.value.cooked : undefined;
}

function namesOf(specifiers: unknown, key: string): Import["names"] {
  const list = specifiers as Node[];
  return list.every((specifier) => specifier[key] !== undefined) ? list.map((specifier) => nameOf(specifier[key])) : "everything";
}

/** Calls `found` for every import whose specifier is a literal: static, dynamic, re-exporting, type-only and CommonJS. */
export function visitImports(found: (imported: Import) => void): Visitor {
  const offer = (node: Node, source: unknown, names: Import["names"] = "everything"): void => {
    const specifier = literalOf(source);
    if (specifier !== undefined) found({ node, specifier, names });
  };
  return {
    ImportDeclaration: (node) => offer(node, node["source"], namesOf(node["specifiers"], "imported")),
    ExportNamedDeclaration: (node) => offer(node, node["source"], namesOf(node["specifiers"], "local")),
    ExportAllDeclaration: (node) => offer(node, node["source"]),
    ImportExpression: (node) => offer(node, node["source"]),
    TSImportType: (node) => offer(node, node["source"]),
    TSExternalModuleReference: (node) => offer(node, node["expression"]),
    CallExpression: (node) => {
      if (nameOf(node["callee"]) === "require") offer(node, (node["arguments"] as unknown[])[0]);
    },
  };
}
