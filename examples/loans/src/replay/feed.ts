/**
 * Sends every line through the client, many applications at a time and each application's lines in order. A server that
 * is away is waited for: the client repeats what got no answer under the line's own id, so that no line counts twice.
 */
import { isConvergentError } from "convergent/client";
import type { Application } from "../definitions/application.ts";
import type { EventLine } from "../file/event-file.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import { type LoansClient, sendLine } from "./command-of-line.ts";
import { LineQueue } from "./line-queue.ts";

export interface FeedOptions {
  /** Of one server or several on one store: each sends lines of every application, as they come. */
  readonly clients: readonly LoansClient[];
  readonly lines: AsyncIterable<EventLine>;
  readonly concurrency: number;
  readonly acknowledgements: Acknowledgements;
  /** Told after each line that was acknowledged. */
  readonly onAcknowledged: (count: number) => void;
  /** Told of the same with the state that was answered; the application's next line waits for it. */
  readonly onState?: (client: LoansClient, line: EventLine, state: Application) => Promise<void>;
}

/** Resolves when every line is acknowledged or refused. Throws when the server does not come back. */
export async function feed(options: FeedOptions): Promise<void> {
  const queue = new LineQueue(options.lines);
  const { clients } = options;
  const work = async (place: number): Promise<void> => {
    try {
      for (let line = await queue.next(); line; line = await queue.next()) {
        await send(clients[place % clients.length] as LoansClient, line, options);
        queue.done(line);
      }
    } catch (error) {
      queue.close();
      throw error;
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, (_, place) => work(place)));
}

async function send(client: LoansClient, line: EventLine, { acknowledgements, onAcknowledged, onState }: FeedOptions): Promise<void> {
  const { number, application } = line;
  try {
    const outcome = await sendLine(client, line, acknowledgements.versionOf(application));
    switch (outcome.kind) {
      case "accepted":
        acknowledgements.accept(application, { line: number, version: outcome.version, repeated: outcome.repeated });
        onAcknowledged(acknowledgements.count);
        await onState?.(client, line, outcome.state);
        return;
      case "rejected":
        acknowledgements.refuse({ line: number, application, reason: outcome.reason });
        return;
      case "conflict":
        acknowledgements.refuse({
          line: number,
          application,
          reason: `the application is at version ${outcome.version} by somebody else's doing`,
        });
    }
  } catch (error) {
    if (!isConvergentError(error) || error.retry === "later") throw error;
    acknowledgements.refuse({ line: number, application, reason: error.message });
  }
}
