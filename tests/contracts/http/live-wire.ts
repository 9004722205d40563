// A watcher as a test drives it: a WebSocket to `/live` with everything that came over it.
import { live } from "convergent";
import { vi } from "vitest";
import { WebSocket } from "ws";

export type Heard = Readonly<Record<string, unknown>> & {
  readonly id?: number;
  readonly value?: unknown;
  readonly asOf?: number;
  readonly fresh?: boolean;
  readonly cursor?: string;
  readonly token?: string;
  readonly error?: { readonly code?: string; readonly detail?: string; readonly status?: number; readonly known?: readonly string[] };
};

export class Watcher {
  readonly socket: WebSocket;
  readonly heard: Heard[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;

  constructor(
    url: string,
    { headers = {}, protocols = [live.subprotocol] }: { readonly headers?: Record<string, string>; readonly protocols?: string[] } = {},
  ) {
    this.socket = new WebSocket(`${url.replace("http", "ws")}/live`, protocols, { headers });
    this.socket.on("message", (data) => this.heard.push(JSON.parse((data as Buffer).toString()) as Heard));
    this.socket.on("close", (code, reason) => (this.closed = { code, reason: String(reason) }));
    this.socket.on("error", () => undefined);
  }

  static async open(url: string, options: ConstructorParameters<typeof Watcher>[1] = {}): Promise<Watcher> {
    const watcher = new Watcher(url, options);
    await new Promise<void>((resolve, reject) => {
      watcher.socket.once("open", resolve);
      watcher.socket.once("error", reject);
    });
    return watcher;
  }

  ask(frame: unknown): void {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  watch(watch: Readonly<Record<string, unknown>>): void {
    this.ask({ watch: { id: 1, ...watch } });
  }

  /** What came under an id. */
  of(id: number): Heard[] {
    return this.heard.filter((heard) => heard.id === id);
  }

  /** What came under an id and holds a value. */
  values(id = 1): unknown[] {
    return this.of(id).flatMap((heard) => ("value" in heard ? [heard.value] : []));
  }

  /** Waits until something that came meets the condition. */
  async until(meets: (heard: Heard) => boolean): Promise<Heard> {
    return vi.waitUntil(() => this.heard.find(meets), { timeout: 10_000, interval: 5 });
  }

  async end(): Promise<{ readonly code: number; readonly reason: string }> {
    return vi.waitUntil(() => this.closed, { timeout: 10_000, interval: 5 });
  }

  /** Cuts it, without a word. */
  cut(): void {
    this.socket.terminate();
  }
}
