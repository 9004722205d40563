/**
 * This process among those that run readers of one store: who lives, and who owns which slot (R3).
 *
 *   start ─► round ─► poll ─► poll ─► …      a poll reads; a round writes, in one transaction for all readers
 *              ▲        │ somebody came or went, a lease is not as believed, a beat is due
 *              └────────┘
 *
 * - A lease has one owner and a fence that goes up with every change of owner. Commits compare it, so a late owner's
 *   effects are rolled back, whatever the judgement about it was.
 * - Each slot belongs to the member that `rendezvous` says. Its owner hands it over to another living member; nobody
 *   takes a slot from a member that lives.
 * - A member is gone when its process is known to have ended, or when its beat stood still for `silentMs` of this
 *   process's own clock: no two clocks are compared. It beats only while others look on; a lone process writes nothing.
 */
import type { Log } from "../log/log.ts";
import type { Holdings, Lease, Member, ParkedKey } from "../log/reader-rows.ts";
import type { Checkpoint, CheckpointKey, WriteTransaction } from "../log/store.ts";
import { ownerOf } from "./rendezvous.ts";

/** How often a process looks who is there. */
const pollMs = 500;
/** How often it shows that it lives, while others are there. */
const beatMs = 2_000;
/** A beat that stood still for so long is a dead one's. */
const silentMs = 6_000;
/** Of a longer pause between two looks only so much counts: this process may itself have stood still. */
const observedMs = 1_000;
/** Slots begin with any fence below. */
const firstFenceMax = 2 ** 31;
/** Leases that are counted at each look; of more, every so many looks, but not more seldom than every fourth: 16,000 take 1.6 ms, in which nobody appends. */
const leasesPerLook = 2_048;
const looksPerCountMax = 4;
/** Readers whose slots are claimed before the event loop turns. */
const readersPerTurn = 64;

/** A reader, as the coordinator of its process sees it. */
export interface Participant {
  readonly checkpointKey: CheckpointKey;
  /** Makes its rows when there are none, and answers how many slots it has. */
  prepare(tx: WriteTransaction): Promise<number>;
  /** It owns these slots, by fence. Called when that changed, or when it had lost its leases. */
  assigned(fences: ReadonlyMap<number, number>): void;
  /** It has slots of other processes; and somebody waits for them. */
  readonly shares: boolean;
  readonly watches: boolean;
  observed(rows: readonly Checkpoint[]): void;
  /** Called at each poll, with what is asked of events that are set aside, and the number of discarded ones. */
  polled(news: { readonly requested: readonly ParkedKey[]; readonly discarded: number }): void;
}

interface Seat {
  readonly participant: Participant;
  /** How many slots it has; unknown until a round has asked. */
  slots: number | undefined;
  fences: ReadonlyMap<number, number>;
  /** It must be told in the next round, whatever that finds. */
  untold: boolean;
}

interface Sighting {
  readonly beat: number;
  readonly silentMs: number;
}

interface Found {
  readonly seat: Seat;
  readonly slots: number;
  readonly fences: ReadonlyMap<number, number>;
}

export class Membership {
  readonly id: string;
  readonly #log: Log;
  readonly #seats = new Map<string, Seat>();
  /** Readers for whose slots elsewhere somebody waits, or has waited since the last look: an advance concerns no others. */
  readonly #watchers = new Set<Participant>();
  #sightings = new Map<string, Sighting>();
  /** Members of which the last round knew, with what they run. */
  #known = "";
  #live: readonly Member[] = [];
  #held = { leases: 0, fences: 0 };
  /** Leases without an owner, as the last look found them. */
  #unowned = { leases: 0, fences: 0 };
  #beat = 0;
  #beatAt = -Infinity;
  #lookedAt = 0;
  #looks = 0;
  #state: "new" | "running" | "stopped" = "new";
  #round: Promise<void> | undefined;
  #again = false;
  #observing = false;
  #observeAgain = false;
  #ended: () => void = () => undefined;

  constructor(log: Log) {
    this.#log = log;
    this.id = log.host.random.id();
  }

  /** Members that live, this process's own included. */
  get live(): readonly Member[] {
    return this.#live;
  }

  /** Runs a reader from now on; its slots are claimed together with those of others that join at this moment. */
  join(participant: Participant): void {
    this.#seats.set(nameOf(participant.checkpointKey), { participant, slots: undefined, fences: new Map(), untold: true });
    if (this.#state === "running") this.#soon();
  }

  /** The reader was stopped: its slots go to others. */
  async leave(participant: Participant): Promise<void> {
    if (this.#seats.get(nameOf(participant.checkpointKey))?.participant !== participant) return;
    this.#seats.delete(nameOf(participant.checkpointKey));
    this.#watchers.delete(participant);
    if (this.#state === "running") await this.settle().catch(() => undefined); // they are this process's until the next round
  }

  /** Claims slots for all who joined, in one transaction, and goes on looking. */
  async start(): Promise<void> {
    if (this.#state !== "new") return;
    this.#state = "running";
    this.#lookedAt = this.#log.host.clock.elapsed();
    const unlisten = this.#log.onAdvance(() => this.observe());
    const cancelled = this.#poll();
    this.#ended = () => {
      unlisten();
      cancelled();
    };
    await this.settle();
  }

  /** Hands all slots over and says goodbye. Readers must have stopped. */
  async stop(): Promise<void> {
    if (this.#state !== "running") return;
    this.#state = "stopped";
    this.#ended();
    await this.#round?.catch(() => undefined);
    this.#seats.clear();
    // What cannot be said is noticed by the others a little later.
    await this.#log.transact((tx) => this.#goodbye(tx), { derived: true }).catch(() => undefined);
  }

  /** A reader found that its leases are not what it believed: the next round tells it. */
  lost(participant: Participant): Promise<void> {
    const seat = this.#seats.get(nameOf(participant.checkpointKey));
    if (seat?.participant === participant) [seat.untold, seat.slots] = [true, undefined];
    return this.settle();
  }

  /** Runs a round that begins after this call. */
  async settle(): Promise<void> {
    if (this.#round) {
      this.#again = true;
      await this.#round;
      return;
    }
    this.#round = this.#rounds();
    try {
      await this.#round;
    } finally {
      this.#round = undefined;
    }
  }

  /** Somebody waits for slots of a reader that other processes own. */
  watch(participant: Participant): void {
    this.#watchers.add(participant);
    this.observe();
  }

  /** Reads again how far slots of other processes are, for those who wait for them. */
  observe(): void {
    if (this.#state !== "running" || this.#watching().length === 0) return;
    this.#observeAgain = true;
    if (!this.#observing) void this.#observe(this.#watching());
  }

  // Asked with every commit: of a thousand readers that nobody waits for it must ask none.
  #watching(): readonly Participant[] {
    for (const each of this.#watchers) if (!each.watches) this.#watchers.delete(each);
    return [...this.#watchers];
  }

  // One at a time, so that what is found later was read later.
  async #observe(first: readonly Participant[]): Promise<void> {
    this.#observing = true;
    try {
      for (let watching = first; this.#state === "running"; watching = this.#watching()) {
        this.#observeAgain = false;
        const some = watching;
        const rows = await this.#log.snapshot((tx) => Promise.all(some.map((each) => tx.checkpoints(each.checkpointKey))));
        some.forEach((each, index) => each.observed(rows[index] ?? []));
        if (!this.#observeAgain) break;
      }
    } catch {
      // The next poll asks again.
    } finally {
      this.#observing = false;
    }
  }

  #soon(): void {
    void this.#log.host.timers.turn().then(() => this.settle().catch(() => undefined)); // or the next poll does it
  }

  #poll(): () => void {
    const { timers } = this.#log.host;
    let timer = timers.after(pollMs, () => void tick());
    const tick = async (): Promise<void> => {
      await this.#look().catch(() => undefined); // the store does not answer: it is asked again
      if (this.#state !== "running") return;
      const sharing = [...this.#seats.values()].map((seat) => seat.participant).filter((each) => each.shares);
      if (!this.#observing && sharing.length > 0) void this.#observe(sharing);
      timer = timers.after(pollMs, () => void tick());
    };
    return () => timer.cancel();
  }

  async #look(): Promise<void> {
    const looksPerCount = Math.min(looksPerCountMax, 1 + Math.floor(this.#held.leases / leasesPerLook));
    const counts = this.#looks++ % looksPerCount === 0;
    const { members, held, unowned, requested, discarded } = await this.#log.snapshot(async (tx) => ({
      members: await tx.ownership.members(),
      held: counts ? await tx.ownership.held(this.id) : this.#held,
      unowned: counts ? await tx.ownership.held("") : this.#unowned,
      requested: await tx.parking.requested(),
      discarded: await tx.parking.discarded(),
    }));
    const gone = this.#sight(members);
    const others = members.length > 1;
    const changed = gone.length > 0 || shapeOf(members) !== this.#known;
    const unlike = !isEqual(held, this.#held);
    // Taken perhaps from a process that had not learnt yet that they were its, and so misses nothing. Leases of readers that nobody runs stay free.
    const freed = unowned.leases > 0 && !isEqual(unowned, this.#unowned);
    this.#unowned = unowned;
    const untold = [...this.#seats.values()].some((seat) => seat.untold);
    if (changed || unlike || freed || untold) await this.settle();
    else if (others && this.#log.host.clock.elapsed() - this.#beatAt >= beatMs) await this.#showLife();
    for (const { participant } of this.#seats.values()) participant.polled({ requested, discarded });
  }

  async #showLife(): Promise<void> {
    await this.#log.transact((tx) => tx.ownership.saveMember(this.#self()), { derived: true });
    this.#beatAt = this.#log.host.clock.elapsed();
  }

  /** Compares beats with those seen before; answers who is gone. */
  #sight(members: readonly Member[]): readonly Member[] {
    const { clock, processes } = this.#log.host;
    const elapsed = clock.elapsed();
    const since = Math.min(observedMs, elapsed - this.#lookedAt);
    this.#lookedAt = elapsed;
    const sightings = new Map<string, Sighting>();
    for (const { id, beat } of members) {
      const before = this.#sightings.get(id);
      sightings.set(id, { beat, silentMs: before?.beat === beat ? before.silentMs + since : 0 });
    }
    this.#sightings = sightings;
    return members.filter(
      ({ id, place, process }) => id !== this.id && ((sightings.get(id)?.silentMs ?? 0) >= silentMs || processes.isGone(place, process)),
    );
  }

  async #rounds(): Promise<void> {
    do {
      this.#again = false;
      if (this.#state !== "running") return;
      const found = await this.#log
        .transact((tx) => this.#claim(tx), { derived: true })
        .catch((error: unknown) => {
          this.#known = ""; // nothing was written: the next poll finds all of it again
          throw error;
        });
      if (found.some(({ seat, fences }) => isMore(fences, seat.fences))) this.#log.host.reached("lease.committed");
      this.#tell(found);
    } while (this.#again);
  }

  #tell(found: readonly Found[]): void {
    let leases = 0;
    let fences = 0;
    for (const { seat, slots, fences: held } of found) {
      const changed = seat.untold || !isSame(seat.fences, held);
      seat.slots = slots;
      seat.fences = held;
      seat.untold = false;
      leases += held.size;
      for (const fence of held.values()) fences += fence;
      if (changed) seat.participant.assigned(held);
    }
    this.#held = { leases, fences };
  }

  /** Removes members that are gone, shows that this one lives, and brings the leases where they belong. */
  async #claim(tx: WriteTransaction): Promise<Found[]> {
    const { host } = this.#log;
    const members = await tx.ownership.members();
    const gone = this.#sight(members);
    if (gone.length > 0) host.reached("lease.judged");
    for (const { id } of gone) await tx.ownership.removeMember(id);
    const me = this.#self();
    const others = members.filter((member) => member.id !== this.id && !gone.includes(member));
    await tx.ownership.saveMember(me);
    this.#live = [me, ...others];
    this.#known = shapeOf(this.#live);
    this.#beatAt = host.clock.elapsed();
    return this.#plan(tx, Map.groupBy(await tx.ownership.leases(), nameOf));
  }

  async #plan(tx: WriteTransaction, byReader: ReadonlyMap<string, readonly Lease[]>): Promise<Found[]> {
    const found: Found[] = [];
    const changes: Lease[] = [];
    const live = new Set(this.#live.map((member) => member.id));
    const running = Map.groupBy(
      this.#live.flatMap(({ id, readers }) => readers.map((reader) => ({ id, name: nameOf(reader) }))),
      (each) => each.name,
    );
    for (const [name, seat] of this.#seats) {
      const candidates = (running.get(name) ?? []).map((each) => each.id);
      const leases = new Map((byReader.get(name) ?? []).map((lease) => [lease.slot, lease]));
      // Leases that are missing were never there, or the reader was reset, and then its rows are gone too.
      const slots = seat.slots === leases.size ? seat.slots : await seat.participant.prepare(tx);
      const fences = new Map<number, number>();
      for (let slot = 0; slot < slots; slot++) {
        // Whoever believes to own a slot that was reset is told by a fence it does not know, whatever that process remembers.
        const fence = seat.fences.get(slot) ?? Math.floor(this.#log.host.random.fraction() * firstFenceMax);
        const unknown = { ...seat.participant.checkpointKey, slot, owner: "", fence };
        const before = leases.get(slot) ?? unknown;
        const after = this.#moved(before, live, candidates);
        if (after !== before) changes.push(after);
        if (after.owner === this.id) fences.set(slot, after.fence);
      }
      found.push({ seat, slots, fences });
      if (found.length % readersPerTurn === 0) await this.#log.host.timers.turn();
    }
    for (const [name, leases] of byReader) {
      if (this.#seats.has(name)) continue;
      const candidates = (running.get(name) ?? []).map((each) => each.id);
      for (const lease of leases) if (lease.owner === this.id) changes.push(handedOver(lease, candidates));
    }
    if (changes.length > 0) {
      await tx.ownership.saveLeases(changes);
      this.#log.host.reached("lease.claimed");
    }
    return found;
  }

  // A slot is handed over by the one that owns it. Whoever finds one that nobody alive owns gives it to the member it belongs to,
  // which may have nothing to look for: it learns by its leases.
  #moved(lease: Lease, live: ReadonlySet<string>, candidates: readonly string[]): Lease {
    const owner = ownerOf(lease.slot, lease, candidates) ?? "";
    if (lease.owner === owner) return lease;
    const isMovable = lease.owner === this.id || !live.has(lease.owner);
    return isMovable ? { ...lease, owner, fence: lease.fence + 1 } : lease;
  }

  async #goodbye(tx: WriteTransaction): Promise<void> {
    const others = this.#live.filter((member) => member.id !== this.id);
    const held = (await tx.ownership.leases()).filter((lease) => lease.owner === this.id);
    const changes = held.map((lease) =>
      handedOver(
        lease,
        others.filter((member) => member.readers.some((reader) => nameOf(reader) === nameOf(lease))).map((member) => member.id),
      ),
    );
    await tx.ownership.saveLeases(changes);
    await tx.ownership.removeMember(this.id);
  }

  #self(): Member {
    const readers = [...this.#seats.values()].map((seat) => seat.participant.checkpointKey);
    return { id: this.id, ...this.#log.host.processes.self, beat: ++this.#beat, readers };
  }
}

function handedOver(lease: Lease, candidates: readonly string[]): Lease {
  return { ...lease, owner: ownerOf(lease.slot, lease, candidates) ?? "", fence: lease.fence + 1 };
}

/** Who is there and runs what; beats left aside. */
function shapeOf(members: readonly Member[]): string {
  return members
    .map(({ id, readers }) => `${id} ${namesOf(readers)}`)
    .sort()
    .join("\n\n");
}

const names = new WeakMap<readonly CheckpointKey[], string>();

// A store that gives the same list again spares a thousand names to be sorted at each look.
function namesOf(readers: readonly CheckpointKey[]): string {
  let known = names.get(readers);
  if (known === undefined) names.set(readers, (known = readers.map(nameOf).sort().join("\n")));
  return known;
}

function nameOf({ reader, version, source }: CheckpointKey): string {
  return `${reader} ${version} ${source}`;
}

function isEqual(a: Holdings, b: Holdings): boolean {
  return a.leases === b.leases && a.fences === b.fences;
}

function isSame(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && !isMore(a, b);
}

/** Whether `a` holds a lease that `b` does not. */
function isMore(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return [...a].some(([slot, fence]) => b.get(slot) !== fence);
}
