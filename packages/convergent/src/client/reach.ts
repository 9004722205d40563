/** What the parts of one client share: the way to the gateway, and what is remembered of it. */
import type { Definition } from "./definition.ts";
import type { SessionMemory } from "./session.ts";
import type { SessionTransport } from "./session-transport.ts";
import type { Transport } from "./transport.ts";
import type { Versions } from "./versions.ts";

/** What a question or a command needs of its client. */
export interface Reach {
  readonly transport: Transport;
  readonly definition: Definition;
  readonly session: SessionMemory;
  readonly versions: Versions;
  readonly requests: SessionTransport;
}
