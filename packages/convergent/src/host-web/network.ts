/** The network through the platform's `fetch`. */
import type { Network, NetworkSocket, SocketListener } from "../host/host.ts";

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
  ...(typeof WebSocket === "function" ? { socket: webSocket } : {}),
};

/** A WebSocket of the platform. */
export function webSocket(url: string, protocols: readonly string[], listener: SocketListener): NetworkSocket {
  const socket = new WebSocket(url.replace(/^http/, "ws"), [...protocols]);
  let isClosed = false;
  const closed = (code: number): void => {
    if (!isClosed) listener.closed(code);
    isClosed = true;
  };
  socket.addEventListener("open", () => listener.opened());
  socket.addEventListener("message", ({ data }: { readonly data: unknown }) => {
    if (typeof data === "string" && !isClosed) listener.heard(data);
  });
  socket.addEventListener("close", ({ code }) => closed(code));
  return {
    send: (text) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    // A connection whose other side is gone takes long to close: nobody waits for it.
    close: () => {
      closed(1000);
      socket.close();
    },
  };
}
