/** Writes the history of what clients ask over HTTP: below the client, so that whatever it does is seen, and any client can be. */
import type { NetworkRequest, NetworkResponse } from "../host/host.ts";
import { headers as names } from "../protocol/wire.ts";
import type { CommandOk, DocumentOk, Failed, HistoryRecord, Invoked, Ok } from "./history.ts";

/** A request on its way. */
export interface Recorded {
  arrived(): void;
  answered(response: NetworkResponse): void;
}

interface Operation {
  readonly op: number;
  readonly what: Invoked["what"];
  arrivals: number;
  /** Its refusal counts arrivals until the end: one that comes later is decided anew. */
  failed?: { -readonly [Field in keyof Failed]: Failed[Field] };
  closed: boolean;
}

/** Makes the records of one run; `write` is called with each as it comes. */
export class Recorder {
  readonly #write: (record: HistoryRecord) => void;
  readonly #now: () => number;
  readonly #byId = new Map<string, Operation>();
  #ops = 0;

  constructor(now: () => number, write: (record: HistoryRecord) => void) {
    this.#now = now;
    this.#write = write;
  }

  /** A request leaves for the gateway; `arrived` is to be called as often as it may have come there. */
  request(session: string, request: NetworkRequest): Recorded {
    const operation = this.#invoked(session, request);
    return {
      arrived: () => {
        operation.arrivals++;
        if (operation.failed) operation.failed.arrivals++;
      },
      answered: (response) => this.#answered(operation, response),
    };
  }

  #invoked(session: string, request: NetworkRequest): Operation {
    const id = request.headers[names.idempotencyKey];
    const known = id === undefined ? undefined : this.#byId.get(id);
    if (known) return known;
    const { what, name, key, command } = addressOf(request);
    const operation: Operation = { op: ++this.#ops, what, arrivals: 0, closed: false };
    if (id !== undefined) this.#byId.set(id, operation);
    this.#write({
      kind: "invoke",
      t: this.#now(),
      session,
      op: operation.op,
      what,
      name,
      key,
      ...(command === undefined ? {} : { command, ...(request.body === undefined ? {} : { input: request.body }) }),
      ...(id === undefined ? {} : { id }),
      ...(request.headers[names.token] === undefined ? {} : { asked: true }),
    });
    return operation;
  }

  #answered(operation: Operation, { status, body }: NetworkResponse): void {
    if (operation.closed) return;
    const { op, what, arrivals } = operation;
    const value = JSON.parse(body === "" ? "{}" : body) as Readonly<Record<string, unknown>>;
    const t = this.#now();
    const none = status === 404 && what === "document" && value["asOf"] !== undefined;
    if (status < 300 || none) this.#write(okOf({ t, op, what }, value));
    else if (status < 500 && status !== 429 && value["code"] !== "in_progress") {
      operation.failed = { kind: "fail", t, op, code: String(value["code"]), arrivals };
      this.#write(operation.failed);
    } else return; // it says nothing about an effect, and is asked again
    operation.closed = true;
  }
}

function okOf({ t, op, what }: { t: number; op: number; what: Invoked["what"] }, body: Readonly<Record<string, unknown>>): Ok {
  const { state, version } = body as { state: unknown; version: number };
  switch (what) {
    case "command": {
      const events = (body["events"] as CommandOk["events"]).map(({ id, type, version: at, position }) => ({
        id,
        type,
        version: at,
        position,
      }));
      return { kind: "ok", what, t, op, state, version, events, repeated: body["repeated"] === true };
    }
    case "document": {
      const { value, asOf, fresh } = body as unknown as DocumentOk;
      return { kind: "ok", what, t, op, value: value ?? null, asOf, fresh, parked: body["parked"] !== undefined };
    }
    case "state":
      return { kind: "ok", what, t, op, state, version };
    case "other":
      return { kind: "ok", what, t, op };
  }
}

function addressOf({ method, url }: NetworkRequest): Pick<Invoked, "what" | "name" | "key" | "command"> {
  const [, , , kind = "", name = "", key = "", command] = (url.split("?")[0] ?? "").split("/").map(decodeURIComponent);
  if (kind === "entities" && method === "POST") return { what: "command", name, key, command: command ?? "" };
  if (kind === "views" && key !== "" && key !== "queries") return { what: "document", name, key };
  if (kind === "entities" && command === undefined && !url.includes("?")) return { what: "state", name, key };
  return { what: "other", name: name === "" ? kind : name, key };
}
