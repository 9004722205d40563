/** What one session does next: commands on many accounts, so that documents stay small, and reads of all views in between. */
import type { Client, RemoteOutcome } from "convergent/client";
import type { SeededRandom } from "convergent/simulator";
import type { bank } from "../simulations/bank.ts";

export type Bank = ReturnType<typeof bank>;

/** A command is repeated by its id, a read has none. */
export interface Step {
  readonly isCommand: boolean;
  readonly take: (id: string) => Promise<unknown>;
}

/** Few enough that most of what a short-lived store is asked is not the opening of one. */
const accountsCount = 250;

/** What the sessions know of the accounts; what one of them was not told, another one does again. */
export class Accounts {
  readonly #opened = new Set<string>();

  step(client: Client<Bank>, random: SeededRandom, session: string): Step {
    const account = `a${random.below(accountsCount)}`;
    const amount = 1 + random.below(50);
    if (!this.#opened.has(account)) return this.#open(client, account, random.chance(0.1) ? "taken" : `${account} of ${session}`);
    const kind = random.below(100);
    if (kind < 66) return command((id) => client.account(account).deposit({ amount }, { id }));
    // Whatever is drawn is drawn once: a command that is repeated under its id is the same one.
    if (kind < 76) {
      const to = this.#other(random);
      return command((id) => client.account(account).send({ to, amount }, { id }));
    }
    if (kind < 84) {
      let expected: number | undefined;
      return command(async (id) => {
        expected ??= (await client.account.state(account)).version;
        return client.account(account).rename({ owner: `${account} ${id}` }, { id, expected });
      });
    }
    if (kind < 90) return read(() => client.till.get(`till-${random.below(2)}`, { wait: "100ms" }));
    if (kind < 95) return read(() => client.owners.get(account));
    return read(() => client.statement.get(account, { wait: "100ms" }));
  }

  #open(client: Client<Bank>, account: string, owner: string): Step {
    return command(async (id) => {
      const outcome: RemoteOutcome<unknown> = await client.account(account).open({ owner }, { id, expected: "none" });
      if (outcome.kind !== "rejected") this.#opened.add(account);
      return outcome;
    });
  }

  #other(random: SeededRandom): string {
    const opened = [...this.#opened];
    return random.pick(opened);
  }
}

function command(take: Step["take"]): Step {
  return { isCommand: true, take };
}

function read(take: () => Promise<unknown>): Step {
  return { isCommand: false, take };
}
