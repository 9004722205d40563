/** The handshake of a WebSocket as the request that it is: its credentials, its subprotocol, and how it is refused over a socket of Node. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { live } from "convergent";

/** The longest that a handshake may give as a bearer token. */
const bearerMax = 8_192;

/** A handshake that a server of Node has read; `undefined` when its address is none. */
export function requestOf(message: IncomingMessage): Request | undefined {
  const url = URL.parse(message.url ?? "/", "http://localhost");
  if (!url) return undefined;
  const headers = new Headers();
  for (let index = 0; index < message.rawHeaders.length; index += 2)
    headers.append(message.rawHeaders[index] as string, message.rawHeaders[index + 1] as string);
  return new Request(url, { headers: withBearer(headers) });
}

/** The headers with a bearer token of the subprotocols as the one that browsers cannot send. */
export function withBearer(headers: Headers): Headers {
  const bearer = protocolsOf(headers).find((protocol) => protocol.startsWith(live.bearerPrefix));
  if (bearer !== undefined && bearer.length <= bearerMax && !headers.has("authorization"))
    headers.set("authorization", `Bearer ${bearer.slice(live.bearerPrefix.length)}`);
  return headers;
}

export function offersProtocol({ headers }: Request): boolean {
  return protocolsOf(headers).includes(live.subprotocol);
}

function protocolsOf(headers: Headers): string[] {
  return (headers.get("sec-websocket-protocol") ?? "").split(",").map((protocol) => protocol.trim());
}

/** Answers in the place of the handshake, and ends. */
export function refuse(stream: Duplex, response: Response): void {
  void response.text().then((body) => {
    if (!stream.writable) return;
    stream.once("finish", () => stream.destroy()); // whoever was refused need not close its side
    const headers = [...response.headers, ["content-length", String(Buffer.byteLength(body))], ["connection", "close"]];
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    stream.end(`HTTP/1.1 ${response.status} ${problemTitle(body)}\r\n${lines}\r\n${body}`);
  });
}

function problemTitle(body: string): string {
  const { title } = JSON.parse(body) as { readonly title?: string };
  return (title ?? "Refused").replaceAll(/[^\w .,:;'()-]/g, " ");
}
