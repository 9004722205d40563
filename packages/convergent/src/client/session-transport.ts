/**
 * Requests that carry the session's token. Reads ask by it for no less than the session knows; commands say by it on
 * which history they build. When a store was restored since (`token_epoch`) or does not accept its entry
 * (`token_invalid`), the entry is dropped, and the application is told of a lost history. Then a read goes on without
 * the entry; a command does so only when nothing was lost, because its author should hear of a loss first.
 */
import { emptyToken, parseToken, Token } from "../position/token.ts";
import { headers as names } from "../protocol/wire.ts";
import type { Problem } from "./problem.ts";
import { type HistoryLost, isToken, type SessionMemory } from "./session.ts";
import type { Answer, Request, Transport } from "./transport.ts";

export interface SessionRequest extends Request {
  /** The view that is read: what was seen of it before counts. */
  readonly view?: string;
  /** What must have been seen; by default what the session wrote. `null`: nothing. */
  readonly after?: Token | string | null | undefined;
  /** Stores that are not asked about. */
  readonly without?: ReadonlySet<string>;
}

export interface SessionAnswer {
  readonly answer: Answer;
  /** What was asked for; empty when nothing was. */
  readonly asked: Token;
}

export class SessionTransport {
  readonly #transport: Transport;
  readonly #session: SessionMemory;
  readonly #onHistoryLost: ((lost: HistoryLost) => void) | undefined;

  constructor(
    transport: Transport,
    session: SessionMemory,
    options: { readonly onHistoryLost?: ((lost: HistoryLost) => void) | undefined } = {},
  ) {
    this.#transport = transport;
    this.#session = session;
    this.#onHistoryLost = options.onHistoryLost;
  }

  /** Throws what `Transport.send` throws, and `token_invalid` when `after` is malformed. */
  async send({ view, after, without, ...request }: SessionRequest): Promise<SessionAnswer> {
    let asked = this.#session.demand(view, after);
    for (const store of without ?? []) asked = asked.without(store);
    for (;;) {
      const token = asked.entries.length > 0 ? { [names.token]: asked.toString() } : {};
      const answer = await this.#transport.send({ ...request, headers: { ...request.headers, ...token } });
      const rest = answer.kind === "refusal" ? this.#withoutRefused(asked, after, answer.problem) : undefined;
      // Each round leaves an entry out, so that the rounds end.
      const again = rest !== undefined && rest.entries.length < asked.entries.length;
      if (again && !(request.id !== undefined && isLoss(answer))) asked = rest;
      else {
        if (request.id === undefined) this.#seen(answer, view);
        return { answer, asked };
      }
    }
  }

  #seen(answer: Answer, view: string | undefined): void {
    const token = answer.header(names.token);
    if (isToken(token)) this.#session.read(parseToken(token), view);
  }

  /** Drops what a problem says is of no use any more; `undefined` when it speaks of something else. */
  #withoutRefused(asked: Token, after: SessionRequest["after"], { code, details }: Problem): Token | undefined {
    const { store, fork } = details;
    if (code !== "token_epoch" && code !== "token_invalid") return undefined;
    const rest = typeof store === "string" ? asked.without(store) : emptyToken;
    const knew = this.#session.drop(new Token(asked.entries.filter((entry) => !rest.entries.includes(entry))));
    // An entry that this session got from the store itself and that is now not signed by it: the store was replaced.
    const lost = code === "token_epoch" || knew;
    // Of several requests under way at once the first one reports the loss.
    if (lost && typeof store === "string" && (knew || after !== undefined))
      this.#onHistoryLost?.({ store, fork: typeof fork === "number" ? fork : undefined });
    return rest;
  }
}

function isLoss(answer: Answer): boolean {
  return answer.kind === "refusal" && answer.problem.code === "token_epoch";
}
