// convergent/determinism: the toolkit takes clock, randomness, timers, disk and network from `host`, so that the simulator runs
// the real code. Exempt are the rooms in `touchesTheMachine`, tests, and everything outside packages/convergent/src.
// It finds what is written plainly (`Date`, `globalThis.Date`, `const { random } = Math`); it is a guard rail, not a sandbox.
import { globalReferences, nameOf, placeOf, visitImports, type Context, type Node, type Visitor } from "./imports.ts";
import { nodeModules, touchesTheMachine } from "./layers.ts";

const machineGlobals: Readonly<Record<string, string>> = {
  Date: "the clock",
  Temporal: "the clock",
  performance: "the clock",
  setTimeout: "timers",
  setInterval: "timers",
  setImmediate: "timers",
  clearTimeout: "timers",
  clearInterval: "timers",
  clearImmediate: "timers",
  requestAnimationFrame: "timers",
  fetch: "the network",
  WebSocket: "the network",
  EventSource: "the network",
  localStorage: "storage",
  indexedDB: "storage",
};

/** Members that read the machine although the object itself is harmless. */
const machineMembers: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Math: { random: "randomness" },
  crypto: { randomUUID: "randomness", getRandomValues: "randomness" },
  process: { hrtime: "the clock", uptime: "the clock" },
  AbortSignal: { timeout: "timers" },
};

const globalObjects: ReadonlySet<string> = new Set(["globalThis", "window", "self", "global"]);

/** A member that is read: its name, and the node that stands for its value when the reading is an expression. */
type Read = { readonly name: string; readonly node: Node };

/** The members read from `object` in `object.name`, `object["name"]` and `const { name } = object`. */
function membersRead(object: Node): Read[] {
  const parent = object.parent;
  if (parent?.type === "MemberExpression" && parent["object"] === object) {
    const property = parent["property"] as Node;
    const name = parent["computed"] === true ? property["value"] : property["name"];
    return typeof name === "string" ? [{ name, node: parent }] : [];
  }
  if (parent?.type === "VariableDeclarator" && parent["init"] === object) {
    const properties = ((parent["id"] as Node)["properties"] ?? []) as Node[];
    return properties.filter(({ key }) => key !== undefined).map((property) => ({ name: nameOf(property["key"]), node: property }));
  }
  return [];
}

/** Telling a `Date` apart asks no clock. */
function isInstanceofOperand(node: Node): boolean {
  const parent = node.parent;
  return parent?.type === "BinaryExpression" && parent["operator"] === "instanceof" && parent["right"] === node;
}

function usesOf(node: Node, name: string): { readonly node: Node; readonly name: string; readonly what: string }[] {
  const what = machineGlobals[name];
  if (what !== undefined) return isInstanceofOperand(node) ? [] : [{ node, name, what }];
  const reads = membersRead(node);
  if (globalObjects.has(name)) return reads.flatMap((read) => usesOf(read.node, read.name));
  return reads.flatMap((read) => {
    const of = machineMembers[name]?.[read.name];
    return of === undefined ? [] : [{ node: read.node, name: `${name}.${read.name}`, what: of }];
  });
}

export function checkDeterminism(context: Context): Visitor {
  const place = placeOf(context.filename);
  if (place === undefined || !place.isToolkit || place.isTest || touchesTheMachine.includes(place.room ?? "")) return {};

  const problemWith = (specifier: string, names: readonly string[] | "everything"): string | undefined => {
    const allowed = nodeModules[specifier];
    if (allowed?.rooms.some((room) => room === "*" || place.path.startsWith(`${room}/`)) !== true) {
      return `\`${specifier}\` is not for \`${place.room ?? "src"}\`: take it from \`host\`, or see tools/lint/layers.ts`;
    }
    const { names: harmless } = allowed;
    const refused = names === "everything" ? "*" : names.find((name) => harmless?.includes(name) === false);
    if (harmless === undefined || refused === undefined) return undefined;
    return `\`${refused}\` of \`${specifier}\`: only ${harmless.join(", ")} may be imported`;
  };

  return {
    ...visitImports(({ node, specifier, names }) => {
      const isTypeOnly = node["importKind"] === "type" || node["exportKind"] === "type" || node.type === "TSImportType";
      if (isTypeOnly || !specifier.startsWith("node:")) return;
      const problem = problemWith(specifier, names);
      if (problem !== undefined) context.report({ node, message: problem });
    }),
    "Program:exit": () => {
      for (const { identifier, isTypeReference, isValueReference } of globalReferences(context)) {
        if (isTypeReference === true && isValueReference !== true) continue;
        for (const { node, name, what } of usesOf(identifier, identifier.name)) {
          context.report({ node, message: `\`${name}\`: take ${what} from \`host\`, so that the simulator can stand in for the machine` });
        }
      }
    },
  };
}
