/**
 * `GET /views/{view}/queries/{query}`: queries of views that keep tables.
 *
 *   customer=ada&least=3       fields of the input, each read by the type that its schema gives it
 *   input={"customer":"ada"}   the whole input as JSON: for what is nested, or no object
 */
import type { AnyView } from "convergent";
import type { Judge } from "./access.ts";
import type { ViewEntry } from "./directory.ts";
import { inputTypes, type JsonType } from "./field-types.ts";
import { preferencesOf } from "./preferences.ts";
import { invalidInput, json } from "./problem.ts";
import { literal, single, valueOf } from "./view-query.ts";
import { bodyOf, headersOf, levelOf, notFresh } from "./view-routes.ts";

export async function answerQuery(request: Request, { view, query }: { view: ViewEntry; query: string }, judge: Judge): Promise<Response> {
  const preferences = preferencesOf(request.headers);
  const input = inputOf(new URL(request.url).searchParams, view.definition, query);
  await judge({ kind: "rows", name: view.definition.name, query, input });
  const reading = await view.runtime.query(query, input, levelOf({ request, view }, preferences));
  return reading.fresh ? json(200, bodyOf(reading), headersOf(reading, preferences)) : notFresh(view, reading, preferences);
}

function inputOf(parameters: URLSearchParams, view: AnyView, query: string): unknown {
  const names = [...new Set(parameters.keys())];
  if (names.includes("input")) {
    if (names.length > 1)
      throw invalidInput("input is the whole input; leave out the other parameters", [{ path: "input", reason: "not the only one" }]);
    const input = literal(single(parameters, "input"));
    if (input === undefined) throw invalidInput("input is not JSON", [{ path: "input", reason: "not JSON" }]);
    return input;
  }
  const types = typesOf(view, query);
  return Object.fromEntries(names.map((name) => [name, valueOf(single(parameters, name), types?.get(name), name)]));
}

type Types = ReadonlyMap<string, ReadonlySet<JsonType>>;
const known = new WeakMap<object, Types>();

function typesOf({ queries = {} }: AnyView, name: string): Types | undefined {
  const query = Object.hasOwn(queries, name) ? queries[name] : undefined;
  if (!query) return undefined; // refused by the view itself
  let types = known.get(query);
  if (!types) known.set(query, (types = inputTypes(query.input)));
  return types;
}
