/**
 * The places where a process may die with the most interesting consequences, named once. Tests kill a real process
 * at each of them, and one test fails when a point is listed here that no run has reached.
 */
export const crashPoints = [
  "append.collected", //      a batch is gathered; nothing is written
  "append.admitted", //       outcomes are decided inside the transaction; nothing is inserted
  "append.inserted", //       events, heads and ids are inserted; not committed
  "append.committed", //      the commit is durable; nobody was told
  "append.acknowledged", //   the first caller of the batch was told
  "reader.read", //           a batch of events was read; no transaction is open
  "reader.applied", //        effects are written; the checkpoint is not
  "reader.checkpointed", //   effects and checkpoint are written; not committed
  "reader.committed", //      the commit is durable; the reader's memory does not know it
  "lease.judged", //          a process that is gone was noticed; its slots are still its own
  "lease.claimed", //         slots have a new owner; not committed
  "lease.committed", //       the commit is durable; the new owner's readers do not know it
  "lease.adopted", //         a reader has read the checkpoints of its new slots; nothing is applied
  "rebuild.begun", //         a newer version of a view is registered beside the active one; nothing is built
  "rebuild.verified", //      a range of what the build consumed was compared and found right
  "rebuild.swapping", //      the swap is decided inside the transaction; nothing is written
  "rebuild.swapped", //       the newer version is active and the older one retired; not committed
  "rebuild.committed", //     the swap is durable; this process still reads the older version
  "rebuild.dropping", //      some rows of a retired version are deleted, and the rest is not
  "archive.named", //         the store names its archive; nothing was moved
  "archive.copied", //        events are durable in the archive; the store still holds them
  "archive.moved", //         the store has let go of them
  "forget.intended", //       the wish to forget a person is written; their key is there
  "forget.destroyed", //      the key is gone; the log does not say so
  "forget.written", //        the log says so; views still hold what they held
] as const;

/** The name of a crash point. */
export type CrashPoint = (typeof crashPoints)[number];
