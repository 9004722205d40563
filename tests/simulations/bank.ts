// The service that the simulator runs: a bank whose views notice an event that is applied twice, late or not at all. Money is
// sent from account to account by a reaction to each sending, owners are unique (a strong view), handlers fail now and then,
// and a server that begins again may have a newer version of a view.
import { command, entity, isConvergentError, reaction, reject, retryLater, service, view } from "convergent";
import type { Actor, Circumstances } from "convergent/simulator";
import { z } from "zod";

const Amount = z.object({ amount: z.number().int().positive() });
const Sending = z.object({ to: z.string(), amount: z.number().int().positive() });
const Receipt = z.object({ from: z.string(), amount: z.number().int().positive() });
const Owner = z.object({ owner: z.string() });

/** An account, which other services may hear of. */
export const account = entity("account", {
  initial: () => ({ owner: "", balance: 0, changes: 0 }),
  events: { opened: Owner, renamed: Owner, deposited: Amount, sent: Sending, received: Receipt },
})
  .evolve({
    opened: (_, { owner }) => ({ owner, balance: 0, changes: 1 }),
    renamed: (state, { owner }) => ({ ...state, owner, changes: state.changes + 1 }),
    deposited: (state, { amount }) => ({ ...state, balance: state.balance + amount, changes: state.changes + 1 }),
    sent: (state, { amount }) => ({ ...state, balance: state.balance - amount, changes: state.changes + 1 }),
    received: (state, { amount }) => ({ ...state, balance: state.balance + amount, changes: state.changes + 1 }),
  })
  .commands({
    open: command(Owner, (state, input, emit) => (state.owner === "" ? emit.opened(input) : reject("it is open"))),
    rename: command(Owner, (state, input, emit) => (state.owner === "" ? reject("it is not open") : emit.renamed(input))),
    deposit: command(Amount, (state, input, emit) => (state.owner === "" ? reject("it is not open") : emit.deposited(input)), {
      onConflict: "retry",
    }),
    send: command(Sending, (state, input, emit) => (state.balance < input.amount ? reject("there is too little on it") : emit.sent(input))),
    receive: command(Receipt, (_, input, emit) => emit.received(input)),
  });

const Statement = z.object({ owner: z.string(), balance: z.number(), entries: z.array(z.string()) });

function statementOf(version: number, fails: () => boolean) {
  const entry = (text: string): string => (version === 1 ? text : `v${version} ${text}`);
  const changed = (document: z.infer<typeof Statement> | undefined, event: { version: number; type: string }, by: number) => {
    if (fails()) retryLater("this handler fails now and then");
    const before = document ?? { owner: "", balance: 0, entries: [] };
    return { ...before, balance: before.balance + by, entries: [...before.entries, entry(`${event.version} ${event.type} ${by}`)] };
  };
  return view("statement", {
    version,
    from: [account],
    document: Statement,
    key: (event) => event.entityId,
    indexes: ["owner"],
  }).on({
    "account.opened": (document, event) => ({ ...changed(document, event, 0), owner: event.data.owner }),
    "account.renamed": (document, event) => ({ ...changed(document, event, 0), owner: event.data.owner }),
    "account.deposited": (document, event) => changed(document, event, event.data.amount),
    "account.sent": (document, event) => changed(document, event, -event.data.amount),
    "account.received": (document, event) => changed(document, event, event.data.amount),
  });
}

// One document for many streams: applied in the log's order across them.
const till = view("till", {
  from: [account],
  document: z.object({ deposited: z.number(), last: z.array(z.number()) }),
  key: (event) => `till-${event.entityId.length % 2}`,
}).on({
  "account.deposited": (document, event) => ({
    deposited: (document?.deposited ?? 0) + event.data.amount,
    last: [...(document?.last ?? []), event.position].slice(-5),
  }),
});

const owners = view("owners", {
  from: [account],
  document: z.object({ owner: z.string() }),
  key: (event) => event.entityId,
  unique: ["owner"],
  consistency: "strong",
}).on({
  "account.opened": (_, event) => ({ owner: event.data.owner }),
  "account.renamed": (_, event) => ({ owner: event.data.owner }),
});

const settle = reaction("settle", { from: [account], to: { account } }).on({
  "account.sent": (event, { commands }) => commands.account(event.data.to).receive({ from: event.entityId, amount: event.data.amount }),
});

/** The bank, in the release that a life of a server has: the second one brings a new version of the statement. */
export function bank({ life, server, fails }: Pick<Circumstances, "life" | "server" | "fails">) {
  const version = life > 2 + (server % 2) ? 2 : 1;
  return service("bank", { parts: { account, statement: statementOf(version, fails), till, owners, settle } });
}

type Bank = ReturnType<typeof bank>;

const accounts = ["a", "b", "cc", "dd", "eee"];

/** What one client of the bank does next. */
export async function bankWork({ client, random, mark, name }: Actor<Bank>): Promise<void> {
  const id = random.pick(accounts);
  const amount = 1 + random.below(50);
  switch (random.below(9)) {
    case 0:
    case 1: {
      const outcome = await client.account(id).open({ owner: `${name}-${random.below(4)}` }, { expected: "none" });
      if (outcome.kind === "rejected" && outcome.unique) mark("an owner was taken");
      break;
    }
    case 2:
    case 3:
      await client.account(id).deposit({ amount });
      break;
    case 4: {
      const outcome = await client.account(id).send({ to: random.pick(accounts), amount });
      if (outcome.kind === "rejected") mark("a sending was refused");
      break;
    }
    case 5: {
      const { version } = await client.account.state(id);
      const outcome = await client.account(id).rename({ owner: `${name}-${random.below(4)}` }, { expected: version });
      if (outcome.kind === "conflict") mark("a conflict was answered");
      break;
    }
    case 6:
      await client.till.get(`till-${random.below(2)}`, { wait: "300ms" });
      break;
    case 7:
      await client.owners.get(id);
      break;
    default: {
      const { fresh } = await client.statement.get(id, { wait: `${random.below(400)}ms` });
      if (!fresh) mark("a statement was behind");
    }
  }
}

/** Once everything has settled, all money that was paid in is on some account: nothing is under way, nothing was received twice. */
export async function bankConserves([running]: ReadonlyArray<Awaited<ReturnType<Bank["start"]>>>): Promise<void> {
  if (!running) throw new Error("no service is up");
  let paidIn = 0;
  let held = 0;
  for (const id of accounts) {
    try {
      for (const { type, data } of await running.account.events(id))
        if (type === "account.deposited") paidIn += (data as z.infer<typeof Amount>).amount;
      held += (await running.account.state(id)).state.balance;
    } catch (error) {
      if (!isConvergentError(error, "entity_not_found")) throw error; // nobody has opened it
    }
  }
  if (held !== paidIn) throw new Error(`${paidIn} was paid in, and the accounts hold ${held}`);
}
