/**
 * The witness: a small file beside a store that says how far its log had come. It is no part of the store's copies, so
 * an older copy that is put in place by hand meets a witness that knows more, and a new epoch begins before anything is
 * appended (L5).
 *
 * It is written at the opening, at the end and about once a second while positions advance, always after they are durable:
 * it may know less than the log, never more. It is not synced, and one that cannot be read is taken for none.
 */
import type { Disk, Host, Timer } from "../host/host.ts";
import { comparePositions, origin, type Position } from "../position/position.ts";
import { digestOf } from "./digest.ts";
import { type Claim, epochAt, type Fork, forkIfRefuted } from "./epochs.ts";
import type { Identity, Store } from "./store.ts";

/** How far behind the log a witness may be. */
const everyMs = 1000;

/** Characters of an event's id that are written down: 40 random bits. */
const checkLength = 8;

/** The first line of the file; the number is the format's version. */
const format = "convergent-witness 1";

export class Witness {
  readonly #store: Store;
  #written: Position = origin;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Compares the log with what the file says of it; begins a new epoch when the log is an older copy, or another history. */
  async compare(): Promise<Fork | undefined> {
    // Read before the log is: what the file says was durable by then.
    const claim = await readWitness(this.#store.host.disk, this.#store);
    if (!claim || (await this.#isKept(claim))) return undefined;
    const { host, identity } = this.#store;
    const fork = await this.#store.write((tx) => forkIfRefuted(tx, claim, host.random));
    return fork && { ...fork, store: identity.store };
  }

  /** The log has advanced: the file is written within the second. */
  advanced(): void {
    this.#timer ??= this.#store.host.timers.after(everyMs, () => {
      this.#timer = undefined;
      void this.write();
    });
  }

  /** Writes the newest position down. Never throws: without it an older copy is noticed later, by a token or a follower. */
  async write(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      try {
        this.#written = await writeWitness(this.#store, this.#written);
      } catch {
        // A full disk, for instance: the next second tries again.
      }
    });
    return this.#writing;
  }

  /** Writes it for the last time; the store must still be open. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.write();
  }

  async #isKept(claim: Claim): Promise<boolean> {
    return this.#store.read(async (tx) => {
      const present = (await tx.epochs()).at(-1)?.id === claim.epoch;
      const [event] = await tx.events({ after: (claim.position - 1) as Position, upTo: claim.position, limit: 1 });
      return present && event?.id.startsWith(claim.check) === true;
    });
  }
}

/** Writes how far a store has come into the file beside it, unless that is `known`. Returns the position. */
export async function writeWitness(store: Store, known?: Position): Promise<Position> {
  const { host, identity, witness } = store;
  const { position, id, epochs } = await store.read(async (tx) => {
    const head = await tx.head();
    const [event] = await tx.events({ after: (head.position - 1) as Position, upTo: head.position, limit: 1 });
    return { position: head.position, id: event?.id ?? "", epochs: await tx.epochs() };
  });
  if (position === origin || (known !== undefined && comparePositions(position, known) === 0)) return position;
  const text = [format, identity.store, lineageOf(identity), epochAt(epochs, position).id, position, id.slice(0, checkLength), ""].join(
    "\n",
  );
  await host.disk.replace(witness, new TextEncoder().encode(text));
  return position;
}

async function readWitness(
  disk: Disk,
  store: { readonly identity: Identity; readonly witness: string; readonly host: Host },
): Promise<Claim | undefined> {
  const bytes = await disk.read(store.witness);
  const [first, name, lineage, epoch, position, check, end] = new TextDecoder().decode(bytes ?? new Uint8Array()).split("\n");
  const whole = first === format && end === "" && epoch !== undefined && check !== undefined && /^[1-9]\d{0,15}$/.test(position ?? "");
  // The witness of a store that lay here before says nothing about this one.
  if (!whole || name !== store.identity.store || lineage !== lineageOf(store.identity)) return undefined;
  return { by: "witness", epoch, position: Number(position) as Position, check };
}

/** Tells stores of one name apart without giving their key away: copies of one store share it. */
function lineageOf(identity: Identity): string {
  return digestOf(`lineage ${identity.key}`).slice(0, 16);
}
