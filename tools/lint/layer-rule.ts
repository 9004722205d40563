// convergent/layers: imports keep to the order of rooms in layers.ts, to package names, and away from index files.
// It looks at one file at a time. Circles between rooms need no check of their own: every allowed arrow leads to a lower floor
// or along `sameFloor`, which lint.test.ts proves to be free of circles. Circles inside a room are found by import/no-cycle.
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { placeOf, roomOf, visitImports, withSlashes, type Context, type Visitor } from "./imports.ts";
import { besideTheChain, floors, sameFloor } from "./layers.ts";

const entryPointsByPackage = new Map<string, ReadonlySet<string>>();

/** The sources named in the `exports` of a package, relative to `src`. */
function entryPoints(packageFolder: string): ReadonlySet<string> {
  const known = entryPointsByPackage.get(packageFolder);
  if (known !== undefined) return known;
  const manifest = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as {
    exports?: Record<string, { "convergent-source"?: string }>;
  };
  const sources = Object.values(manifest.exports ?? {}).map((entry) => entry["convergent-source"] ?? "");
  const found = new Set(sources.map((source) => source.replace(/^\.\/src\//, "")));
  entryPointsByPackage.set(packageFolder, found);
  return found;
}

const floorOf = (room: string): number => floors.findIndex((rooms) => rooms.includes(room));

/** Why the room `from` may not import the room `to`; undefined when it may. */
export function forbiddenArrow(from: string, to: string): string | undefined {
  if (from === to) return undefined;
  const stranger = [from, to].find((room) => floorOf(room) === -1 && !(room in besideTheChain));
  if (stranger !== undefined) return `the room \`${stranger}\` stands on no floor: place it in tools/lint/layers.ts`;
  const beside = besideTheChain[from];
  if (beside !== undefined) return beside.includes(to) ? undefined : `\`${from}\` imports ${beside.join(", ")} and nothing else`;
  if (to in besideTheChain)
    return `\`${to}\` stands beside the chain: only entry points and tests import it; take a \`Host\` as a parameter`;
  if (floorOf(to) < floorOf(from) || sameFloor[from]?.includes(to) === true) return undefined;
  if (floorOf(to) === floorOf(from)) return `\`${from}\` and \`${to}\` share a floor and do not import each other`;
  return `\`${from}\` (floor ${floorOf(from) + 1}) may not import upwards from \`${to}\` (floor ${floorOf(to) + 1})`;
}

export function checkLayers(context: Context): Visitor {
  const place = placeOf(context.filename);
  if (place === undefined) return {};
  const { packageFolder, isToolkit, isTest, room: from } = place;
  const isEntryPoint = entryPoints(packageFolder).has(place.path);

  const problemWith = (specifier: string): string | undefined => {
    if (!specifier.startsWith(".")) {
      const isOurs = /^(?:@convergent\/|convergent(?:\/|$))/.test(specifier);
      return isToolkit && !isTest && isOurs ? "the toolkit imports itself by relative paths, and nothing of the server" : undefined;
    }
    const target = resolve(dirname(context.filename), specifier);
    const path = withSlashes(relative(join(packageFolder, "src"), target));
    if (path.startsWith("../")) {
      return path === "../package.json" ? undefined : "this path leaves the package: import other packages by name";
    }
    if (isTest) return undefined;
    if (/(?:^|\/)index\.[jt]sx?$/.test(path)) return "code inside a package never imports an index: import the file that has the name";
    if (!isToolkit || from === undefined) return undefined;
    const to = roomOf(path);
    if (to === undefined) return "the files beside the rooms are entry points: rooms do not import them";
    return isEntryPoint && to in besideTheChain ? undefined : forbiddenArrow(from, to);
  };

  return visitImports(({ node, specifier }) => {
    const problem = problemWith(specifier);
    if (problem !== undefined) context.report({ node, message: `\`${specifier}\`: ${problem}` });
  });
}
