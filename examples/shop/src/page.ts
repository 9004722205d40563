/** The page and its parts, as they lie in `page/`: served as they are, without a build. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue as errors } from "convergent";
import { catalogue } from "./catalogue.ts";

interface Served {
  readonly type: string;
  readonly body: string;
}

const types = { html: "text/html; charset=utf-8", css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8" } as const;

const pages: ReadonlyMap<string, Served> = new Map([
  ["/", fileOf("index.html")],
  ["/catalogue", { type: "application/json", body: JSON.stringify(catalogue) }],
  ...["style.css", "main.js", "http.js", "pace.js", "elements.js", "order-form.js", "order-details.js", "order-list.js", "status.js"].map(
    (name): [string, Served] => [`/page/${name}`, fileOf(name)],
  ),
]);

const headers = {
  "cache-control": "no-cache",
  "content-security-policy": "default-src 'self'; img-src data:; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
};

/** Answers what is no address of the gateway. */
export function pageAnswer(request: Request): Response {
  const { pathname } = new URL(request.url);
  const page = pages.get(pathname);
  if (!page)
    return problem({ status: 404, code: "not_found", detail: `There is nothing at ${pathname.slice(0, 200)}; begin at / or /definition.` });
  if (request.method !== "GET" && request.method !== "HEAD")
    return problem({ status: 405, detail: `${pathname} knows GET and HEAD.` }, { allow: "GET, HEAD" });
  return new Response(page.body, { headers: { ...headers, "content-type": page.type } });
}

// The same form as the gateway's own problems, so that a client reads one kind.
function problem(
  { status, code, detail }: { status: number; code?: "not_found"; detail: string },
  more: Readonly<Record<string, string>> = {},
): Response {
  const known = code
    ? { type: `urn:convergent:error:${code}`, title: errors[code].summary, code, retry: errors[code].retry }
    : { type: "about:blank", title: "Method Not Allowed" };
  return new Response(JSON.stringify({ ...known, status, detail }), {
    status,
    headers: { ...more, "content-type": "application/problem+json" },
  });
}

function fileOf(name: string): Served {
  const type = types[name.slice(name.lastIndexOf(".") + 1) as keyof typeof types];
  return { type, body: readFileSync(join(import.meta.dirname, "page", name), "utf8") };
}
