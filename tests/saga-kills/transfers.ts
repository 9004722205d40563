// Money that is moved between accounts by sagas: what is taken must arrive or come back, whoever dies on the way.
import {
  accepted,
  command,
  entity,
  type Outcome,
  reject,
  type RunningService,
  saga,
  type SagaScope,
  type Service,
  service,
} from "convergent";
import { z } from "zod";

export const opening = 1_000_000;
export const accounts: readonly string[] = Array.from({ length: 20 }, (_, index) => `a-${index}`);
const Amount = z.object({ amount: z.number() });

const account = entity("account", { initial: () => ({ balance: 0 }), events: { opened: Amount, withdrawn: Amount, deposited: Amount } })
  .evolve({
    opened: (_, { amount }) => ({ balance: amount }),
    withdrawn: ({ balance }, { amount }) => ({ balance: balance - amount }),
    deposited: ({ balance }, { amount }) => ({ balance: balance + amount }),
  })
  .commands({
    open: command(Amount, (_, { amount }, emit) => emit.opened({ amount })),
    withdraw: command(Amount, (_, { amount }, emit) => emit.withdrawn({ amount })),
    giveBack: command(Amount, (_, { amount }, emit) => emit.deposited({ amount })),
    deposit: command(Amount, (_, { amount }, emit) =>
      amount === unlucky ? reject("the account takes no such sum") : emit.deposited({ amount }),
    ),
  });

/** A sum that no account takes. */
export const unlucky = 13;
/** A sum at which the last step breaks for good. */
export const broken = 17;

const Transfer = z.object({ from: z.string(), to: z.string(), amount: z.number() });
const Posting = Transfer.omit({ from: true });

export type Bank = Service<{ account: typeof account } & ReturnType<typeof transferOn>>;
type Running = RunningService<Bank["parts"]>;

/** A transfer, whose deposit is a saga of its own. How a step is taken: by a command under the step's id, which is voided when nobody knows what became of it. */
function transferOn(running: () => Running) {
  const scope = "transfer";
  const settled = async (outcome: Promise<Outcome<unknown>>): Promise<void> => void accepted(await outcome);
  const of = (id: string): ReturnType<Running["account"]> => running().account(id);
  const voids = (id: string): Promise<boolean> => running().voidId(id, { scope });
  const posting = saga("posting", { input: Posting }, async (s: SagaScope, { to, amount }) => {
    await s.step("deposit", (id) => settled(of(to).deposit({ amount }, { id, scope })), {
      undo: (id) => settled(of(to).withdraw({ amount }, { id, scope })),
      void: voids,
    });
  });
  const transfer = saga("transfer", { input: Transfer }, async (s: SagaScope, { from, to, amount }) => {
    await s.step("withdraw", (id) => settled(of(from).withdraw({ amount }, { id, scope })), {
      undo: (id) => settled(of(from).giveBack({ amount }, { id, scope })),
      void: voids,
    });
    // Of many that are withdrawn from the account by then, its own.
    const cause = `transfer/${s.id}/withdraw`;
    await s.waitFor(account, "account.withdrawn", { entityId: from, match: ({ metadata }) => metadata.cause === cause });
    await s.sleep("think", "50ms");
    await s.run(posting, { to, amount }, { name: "deposit" });
    await s.step(
      "note",
      () => {
        if (amount === broken) throw new Error("the ledger is broken");
      },
      { retry: { attempts: 2, first: "10ms" } },
    );
    return amount;
  });
  return { transfer, posting };
}

/** The service, and how its saga reaches it once it runs. */
export function bank(): { readonly definition: Bank; readonly started: (running: Running) => void } {
  let known: Running | undefined;
  const running = (): Running => {
    if (!known) throw new Error("the bank is not open yet");
    return known;
  };
  return { definition: service("orders", { parts: { account, ...transferOn(running) } }), started: (now) => (known = now) };
}

/** The n-th transfer: some are refused at the second step, some break at the last. */
export function transfer(index: number): z.infer<typeof Transfer> {
  const of = (place: number): string => accounts[place % accounts.length] as string;
  const amount = index % 7 === 3 ? unlucky : index % 11 === 5 ? broken : 1 + (index % 5);
  return { from: of(index), to: of(index * 7 + 1), amount };
}
