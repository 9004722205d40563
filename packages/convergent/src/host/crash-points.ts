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
] as const;

/** The name of a crash point. */
export type CrashPoint = (typeof crashPoints)[number];
