// A second service, with a store of its own, that hears of the bank's sendings: what a token of the bank comes to here is the
// question. Its reaction's checkpoint lies in its own store, with the effects.
import { command, entity, reaction, service, view } from "convergent";
import type { Actor, Circumstances } from "convergent/simulator";
import { z } from "zod";
import { account, bank, bankWork } from "./bank.ts";

const Sending = z.object({ to: z.string(), amount: z.number(), version: z.number() });

const deed = entity("deed", { initial: () => ({ sendings: 0 }), events: { recorded: Sending } })
  .evolve({ recorded: ({ sendings }) => ({ sendings: sendings + 1 }) })
  .commands({ record: command(Sending, (_, input, emit) => emit.recorded(input)) });

const deeds = view("deeds", {
  from: [deed],
  document: z.object({ versions: z.array(z.number()), sent: z.number() }),
  key: (event) => event.entityId,
}).on({
  "deed.recorded": (document, event) => ({
    versions: [...(document?.versions ?? []), event.data.version],
    sent: (document?.sent ?? 0) + event.data.amount,
  }),
});

const attest = reaction("attest", { from: [account], to: { deed } }).on({
  "account.sent": (event, { commands }) => commands.deed(event.entityId).record({ ...event.data, version: event.version }),
});

const notary = service("notary", { parts: { deed, deeds, attest } });

/** Both services, as one process runs them. */
export function town(circumstances: Omit<Circumstances, "outside">) {
  return [bank(circumstances), notary] as const;
}

/** The services of the town. */
export type Town = ReturnType<typeof town>[number];

/** What one client does next: mostly at the bank, and now and then it asks at the notary for what it did there. */
export async function townWork(actor: Actor<Town>): Promise<void> {
  const { client, random, mark } = actor;
  if (!random.chance(0.15)) return bankWork(actor);
  const { fresh, unchecked } = await client.deeds.get(random.pick(["a", "b", "cc", "dd", "eee"]), { wait: `${random.below(800)}ms` });
  mark(unchecked ? "a deed was not checked" : fresh ? "a deed was fresh" : "a deed was behind");
}
