/** Answers what is no address of the gateway: the pages, the catalogue, and the laboratory where it is open. */
import { catalogue as errors } from "convergent";
import { catalogue } from "./catalogue.ts";
import type { Laboratory } from "./laboratory.ts";
import type { Pages } from "./pages.ts";

type Answer = (request: Request) => Response | Promise<Response>;

const pageHeaders = {
  "content-security-policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
};

/** `laboratory` is for development: without it nobody can hold up a reader. */
export function fallback(options: { readonly pages: Pages; readonly laboratory?: Laboratory }): Answer {
  const { pages, laboratory } = options;
  return (request) => {
    const { pathname } = new URL(request.url);
    if (laboratory && (pathname === "/lab" || pathname.startsWith("/lab/"))) return laboratory.answer(request);
    const page = pages.get(pathname);
    if (!page && pathname !== "/catalogue")
      return problem(404, `There is nothing at ${pathname.slice(0, 200)}; begin at /, /agent or /definition.`);
    if (request.method !== "GET" && request.method !== "HEAD")
      return problem(405, `${pathname} knows GET and HEAD.`, { allow: "GET, HEAD" });
    if (!page) return Response.json(catalogue, { headers: { "cache-control": "no-cache" } });
    // The name of an asset holds the digest of its content.
    const caching = page.immutable ? "public, max-age=31536000, immutable" : "no-cache";
    return new Response(page.body, { headers: { ...pageHeaders, "cache-control": caching, "content-type": page.type } });
  };
}

/** The same form as the gateway's own problems, so that a client reads one kind. */
export function problem(status: 400 | 404 | 405, detail: string, more: Readonly<Record<string, string>> = {}): Response {
  const code = ({ 400: "invalid_input", 404: "not_found" } as const)[status as 400 | 404];
  const known = code
    ? { type: `urn:convergent:error:${code}`, title: errors[code].summary, code, retry: errors[code].retry }
    : { type: "about:blank", title: "Method Not Allowed" };
  return new Response(JSON.stringify({ ...known, status, detail }), {
    status,
    headers: { ...more, "content-type": "application/problem+json" },
  });
}
