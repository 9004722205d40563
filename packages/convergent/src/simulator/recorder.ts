/** Writes the history of what clients ask over HTTP: below the client, so that whatever it does is seen, and any client can be. */
import type { NetworkRequest, NetworkResponse } from "../host/host.ts";
import { headers as names } from "../protocol/wire.ts";
import { parseToken } from "../position/token.ts";
import type { SagaAcceptedBody, SagaBody } from "../protocol/wire.ts";
import type { CommandOk, DocumentOk, Failed, HistoryRecord, Invoked, Ok, ShownSaga } from "./history.ts";

/** A request on its way. */
export interface Recorded {
  arrived(): void;
  answered(response: NetworkResponse): void;
}

interface Operation {
  readonly op: number;
  readonly what: Invoked["what"];
  /** Of what whoever asks knows already. */
  readonly tag: string | undefined;
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
    const { what, name, key, command } = addressOf(request);
    // A saga's step and its `void` are two questions under one id. Sagas have their ids in common, and are started again under them.
    const tag = request.headers[names.ifNoneMatch];
    // A read that is repeated asks for what its session knew when it was asked first.
    const read = `${request.url} ${session} ${request.headers[names.token] ?? ""} ${tag ?? ""}`;
    const asked = what === "tell" ? `${request.url} ${id} ${session} ${request.body}` : id === undefined ? read : `${request.url} ${id}`;
    const before = this.#byId.get(asked);
    if (before && !(before.closed && (what === "tell" || id === undefined))) return before;
    const operation: Operation = { op: ++this.#ops, what, tag, arrivals: 0, closed: false };
    this.#byId.set(asked, operation);
    const known = what === "saga" ? versionOf(tag) : undefined;
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
      ...(known === undefined ? {} : { known }),
      ...(request.headers[names.token] === undefined ? {} : { asked: true }),
    });
    return operation;
  }

  #answered(operation: Operation, response: NetworkResponse): void {
    if (operation.closed) return;
    const { op, what, tag, arrivals } = operation;
    const { status, body } = response;
    const value = JSON.parse(body === "" ? "{}" : body) as Readonly<Record<string, unknown>>;
    const t = this.#now();
    const none = status === 404 && what === "document" && value["asOf"] !== undefined;
    const anew = tag !== undefined && historyOf(tag) !== historyOf(response.header("etag"));
    if (status < 300 || none) this.#write({ ...okOf({ t, op, what }, value), ...(what === "saga" && anew ? { anew } : {}) });
    else if (status === 304) this.#write({ kind: "ok", what: "other", t, op });
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
    case "saga":
      return { kind: "ok", what, t, op, version, state: shownOf(body as unknown as SagaBody) };
    case "tell": {
      const { token, repeated } = body as unknown as SagaAcceptedBody;
      return { kind: "ok", what, t, op, position: parseToken(token).entries[0]?.position ?? 0, repeated };
    }
    case "other":
      return { kind: "ok", what, t, op };
  }
}

/** A saga as it was shown, times left out. */
export function shownOf({
  id: _id,
  version: _version,
  token: _token,
  startedAt: _startedAt,
  endedAt: _endedAt,
  steps,
  ...rest
}: SagaBody): ShownSaga {
  return { ...rest, steps: steps.map(({ begunAt: _begun, endedAt: _ended, dueAt: _due, ...step }) => step) };
}

/** The version in a saga's entity tag, which ends with it. */
function versionOf(tag: string | undefined): number | undefined {
  const digits = /(\d+)"$/.exec(tag ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** What is before the version in a saga's entity tag. */
function historyOf(tag: string | undefined): string | undefined {
  return tag?.replace(/\d+"$/, "");
}

function tellOf(rest: string | undefined): string {
  return rest === undefined ? "start" : rest === "signals" ? "signal" : rest;
}

function addressOf({ method, url }: NetworkRequest): Pick<Invoked, "what" | "name" | "key" | "command"> {
  const [, , , kind = "", name = "", key = "", command] = (url.split("?")[0] ?? "").split("/").map(decodeURIComponent);
  if (kind === "entities" && method === "POST") return { what: "command", name, key, command: command ?? "" };
  if (kind === "sagas") return method === "GET" ? { what: "saga", name, key } : { what: "tell", name, key, command: tellOf(command) };
  if (kind === "views" && key !== "" && key !== "queries") return { what: "document", name, key };
  if (kind === "entities" && command === undefined && !url.includes("?")) return { what: "state", name, key };
  return { what: "other", name: name === "" ? kind : name, key };
}
