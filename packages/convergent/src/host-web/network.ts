/** The network through the platform's `fetch`. */
import type { Network } from "../host/host.ts";

export const webNetwork: Network = {
  request: async ({ method, url, headers, body, timeoutMs, signal }) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const response = await fetch(url, {
      method,
      headers,
      signal: signal ? AbortSignal.any([timeout, signal as AbortSignal]) : timeout,
      ...(body === undefined ? {} : { body }),
    });
    // The body belongs to the answer: a connection that breaks half way through it leaves the outcome unknown.
    return { status: response.status, header: (name) => response.headers.get(name) ?? undefined, body: await response.text() };
  },
};
