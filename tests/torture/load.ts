/**
 * Load by the real client: sessions with tokens, each one request at a time, sent to whichever server is up; in part of the time
 * through proxies on which the network goes wrong. What is asked and answered is written down below the client, in the
 * simulator's format.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, connect, isConvergentError } from "convergent/client";
import { nodeHost } from "convergent/node";
import { type HistoryRecord, Recorder, SeededRandom } from "convergent/simulator";
import type { Slot } from "./servers.ts";
import { Accounts, type Bank, type Step } from "./steps.ts";
import { TcpProxy, type Way } from "./tcp-proxy.ts";

export interface LoadOptions {
  readonly random: SeededRandom;
  readonly slots: readonly Slot[];
  readonly sessions: number;
  readonly now: () => number;
  readonly write: (record: HistoryRecord) => void;
  readonly mark: (name: string) => void;
  readonly complain: (message: string) => void;
}

/** Where sessions believe the gateway to be. */
const address = "http://localhost";

/** A server that did not answer, or is not there, is left alone for so long. */
const avoidMs = 300;

/** How often a command whose outcome is unknown is sent again by its id, when it is; the others are left unknown. */
const repeatsMax = 5;
const repeatedShare = 0.6;

/** Failures that a client of a server under torture lives with. Everything else is a defect. */
const livedWith: ReadonlySet<string> = new Set([
  "outcome_unknown",
  "unavailable",
  "not_fresh",
  "disk_full",
  "transaction_timeout",
  "entity_not_found",
  "in_progress",
  "rebuilding",
]);

/** What a server may call a store whose disk fails: what SQLite reads there may look damaged until it is opened again. */
const failingDisk: ReadonlySet<string> = new Set(["store_broken", "store_unwritable"]);

export class Load {
  /** Every write and every sync fails at the moment. */
  diskFails = false;
  readonly #options: LoadOptions;
  readonly #recorder: Recorder;
  readonly #host = nodeHost();
  readonly #accounts = new Accounts();
  readonly #avoided = new Map<Slot, number>();
  readonly #proxies = new Map<Slot, TcpProxy>();
  readonly #sessions: Array<Promise<void>> = [];
  #proxied = false;
  #over = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#recorder = new Recorder(options.now, options.write);
  }

  begin(): void {
    for (let index = 1; index <= this.#options.sessions; index++) this.#sessions.push(this.#session(`session-${index}`, index));
  }

  /** Sessions end what they began. */
  async end(): Promise<void> {
    this.#over = true;
    await this.straight();
    await Promise.all(this.#sessions);
    for (const proxy of this.#proxies.values()) await proxy.close();
  }

  /** From now on through proxies that do this to connections. */
  async through(way: Way): Promise<void> {
    for (const slot of this.#options.slots) {
      if (slot.port === undefined) continue;
      const proxy = this.#proxies.get(slot) ?? (await TcpProxy.open(slot.port));
      this.#proxies.set(slot, proxy);
      proxy.target = slot.port;
      proxy.way = way;
    }
    this.#proxied = true;
  }

  /** Without proxies again. */
  async straight(): Promise<void> {
    this.#proxied = false;
    for (const proxy of this.#proxies.values()) proxy.way = { kind: "pass" };
  }

  async #session(name: string, index: number): Promise<void> {
    const { random, complain } = this.#options;
    const own = new SeededRandom(random.below(2 ** 31) + index, name);
    const client = connect<Bank>(address, {
      host: { ...this.#host, random: own, network: { request: (request) => this.#request(name, request, own) } },
      actor: name,
      retryFor: "1500ms",
      timeout: "1500ms",
      onHistoryLost: ({ store, fork }) => complain(`${name} was told that ${store} lost its history at ${fork}`),
    });
    while (!this.#over) await this.#step(client, own, name);
  }

  async #step(client: Client<Bank>, random: SeededRandom, session: string): Promise<void> {
    const { slots } = this.#options;
    while (!slots.some(({ port }) => port !== undefined)) {
      if (this.#over) return;
      await sleep(5);
    }
    const step = this.#accounts.step(client, random, session);
    const id = random.id();
    const repeats = random.chance(repeatedShare) ? repeatsMax : 0;
    for (let turn = 0; turn <= repeats; turn++) if (await this.#took(step, id)) return;
  }

  /** Whether the outcome is known. */
  async #took(step: Step, id: string): Promise<boolean> {
    const { mark, complain } = this.#options;
    try {
      await step.take(id);
    } catch (error) {
      const code = isConvergentError(error) ? error.code : undefined;
      if (code === undefined || !(livedWith.has(code) || (this.diskFails && failingDisk.has(code))))
        complain(`a session met ${error instanceof Error ? error.stack : String(error)}`);
      mark(`thrown ${code ?? "something else"}`);
      return !step.isCommand || code !== "outcome_unknown";
    }
    return true;
  }

  async #request(session: string, request: NetworkRequest, random: SeededRandom): Promise<NetworkResponse> {
    const recorded = this.#recorder.request(session, request);
    const slot = this.#slot(random);
    if (slot?.port === undefined) throw new Error("no server is up");
    const proxy = this.#proxied ? this.#proxies.get(slot) : undefined;
    if (proxy) proxy.target = slot.port; // a server that was begun again has another one
    const port = proxy?.port ?? slot.port;
    recorded.arrived(); // at most: whether it does nobody can see
    try {
      const response = await this.#host.network.request({ ...request, url: request.url.replace(address, `http://127.0.0.1:${port}`) });
      recorded.answered(response);
      this.#avoided.delete(slot);
      return response.status === 503 ? impatiently(response) : response;
    } catch (error) {
      this.#avoided.set(slot, performance.now() + avoidMs);
      throw error;
    }
  }

  /** One that is up and did not disappoint a moment ago; one that did is tried by one session now and then. */
  #slot(random: SeededRandom): Slot | undefined {
    const now = performance.now();
    const up = this.#options.slots.filter(({ port }) => port !== undefined);
    const tried = up.find((slot) => (this.#avoided.get(slot) ?? Number.POSITIVE_INFINITY) < now);
    if (tried) {
      this.#avoided.set(tried, now + avoidMs);
      return tried;
    }
    const good = up.filter((slot) => !this.#avoided.has(slot));
    const from = good.length > 0 ? good : up;
    return from.length === 0 ? undefined : random.pick(from);
  }
}

/**
 * Without the wait that a server asks for when it has no connection: a second, in which most sessions would stand idle, and the
 * next fault would meet no load. The client's own growing wait is left.
 */
function impatiently(response: NetworkResponse): NetworkResponse {
  return { ...response, header: (name) => (/^retry-after/i.test(name) ? undefined : response.header(name)) };
}

type NetworkRequest = Parameters<ReturnType<typeof nodeHost>["network"]["request"]>[0];
type NetworkResponse = Awaited<ReturnType<ReturnType<typeof nodeHost>["network"]["request"]>>;
