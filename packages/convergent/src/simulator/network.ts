/**
 * The network between clients and processes: requests and answers take their time, overtake each other, come twice or
 * not at all. Each request goes to a process chosen at random, as a load balancer would send it.
 */
import type { Network, NetworkRequest, NetworkResponse } from "../host/host.ts";
import { type Accepting, SimulatedConnections } from "./connections.ts";
import { headers as names } from "../protocol/wire.ts";
import type { Faults } from "./faults.ts";
import type { SimulatedProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";
import type { Recorded, Recorder } from "./recorder.ts";
import type { WatchRecorder } from "./watch-recorder.ts";

/** Something that answers requests, as a gateway does. */
export type Answering = (request: Request) => Promise<Response>;

/** A process as the network sees it. */
export interface Endpoint {
  /** Undefined while nothing listens there. */
  readonly listening: { readonly process: SimulatedProcess; readonly answer: Answering; readonly accept?: Accepting } | undefined;
  /** What does not get through at the moment. */
  cut: "nothing" | "both ways" | "requests" | "answers";
}

export interface NetworkOptions {
  readonly faults: Faults;
  readonly randomFor: (purpose: string) => SeededRandom;
  readonly now: () => number;
  readonly endpoints: readonly Endpoint[];
  readonly recorder: Recorder;
  readonly watches: WatchRecorder;
  readonly mark: (name: string) => void;
  /** Whether any connection gets through, beside requests. */
  readonly sockets: boolean;
}

const latencyMs = 0.5;

export class SimulatedNetwork {
  readonly #options: NetworkOptions;
  readonly #random: SeededRandom;
  readonly #connections: SimulatedConnections | undefined;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#random = options.randomFor("network");
    this.#connections = options.sockets ? new SimulatedConnections({ ...options, random: options.randomFor("connections") }) : undefined;
  }

  /** The network as one process has it. What it asks belongs to the session of this name, or of the actor who asks. */
  seenBy(client: () => SimulatedProcess, session?: string): Network {
    const connections = this.#connections;
    return {
      ...(connections
        ? {
            socket: (url, protocols, listener) =>
              connections.open({ client: client(), session: session ?? client().name, url, protocols, listener }),
          }
        : {}),
      request: (request) => this.#request({ client: client(), session: session ?? request.headers[names.actor] ?? client().name, request }),
    };
  }

  #request({ client, session, request }: { client: SimulatedProcess; session: string; request: NetworkRequest }): Promise<NetworkResponse> {
    const { faults, endpoints, recorder } = this.#options;
    const random = this.#random;
    return new Promise((resolve, reject) => {
      const recorded = recorder.request(session, request);
      const timeout = client.after(request.timeoutMs, "request timed out", () =>
        reject(new Error(`no complete answer within ${request.timeoutMs} ms`)),
      );
      const settle = (finish: () => void): void => {
        timeout.cancel();
        finish();
      };
      const endpoint = random.pick(endpoints);
      const send = (): void => {
        if (faults.hits("message lost")) return;
        client.after(this.#travelMs(), "request arrives", () => {
          if (endpoint.cut === "both ways" || endpoint.cut === "requests") return;
          this.#deliver(
            endpoint,
            { client, request, recorded },
            {
              answered: (response) =>
                settle(() => {
                  recorded.answered(response);
                  resolve(response);
                }),
              refused: () => settle(() => reject(new Error("ECONNREFUSED: connection refused"))),
              broken: () => settle(() => reject(new Error("ECONNRESET: connection reset by peer"))),
            },
          );
        });
      };
      send();
      if (faults.hits("message repeated")) send();
    });
  }

  #deliver(
    endpoint: Endpoint,
    { client, request, recorded }: { client: SimulatedProcess; request: NetworkRequest; recorded: Recorded },
    told: { answered: (response: NetworkResponse) => void; refused: () => void; broken: () => void },
  ): void {
    const { faults } = this.#options;
    const random = this.#random;
    const { listening } = endpoint;
    const back = (label: string, run: () => void): void => {
      if (endpoint.cut === "both ways" || endpoint.cut === "answers") return;
      client.after(this.#travelMs(), label, run);
    };
    if (!listening) return back("refused", told.refused);
    const { process, answer } = listening;
    process.after(0, "request taken", () => {
      recorded.arrived();
      const leave = process.onDeath(() => {
        if (random.chance(0.7)) back("reset", told.broken);
      });
      const { method, url, headers, body } = request;
      const length = body === undefined ? {} : { "content-length": String(new TextEncoder().encode(body).length) };
      const work = answer(new Request(url, { method, headers: { ...headers, ...length }, ...(body === undefined ? {} : { body }) }));
      void process
        .hears(work.then(complete), () => 0, "answer made")
        .then((response) => {
          leave();
          if (faults.hits("reply lost")) return;
          back("answer arrives", () => told.answered(response));
        });
    });
  }

  #travelMs(): number {
    const { faults } = this.#options;
    const random = this.#random;
    if (faults.hits("message delayed")) return random.between(50, 3000);
    if (faults.hits("message reordered")) return random.between(1, 60);
    return random.exponential(latencyMs);
  }
}

async function complete(response: Response): Promise<NetworkResponse> {
  const body = await response.text();
  return { status: response.status, header: (name) => response.headers.get(name) ?? undefined, body };
}
