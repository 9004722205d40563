// What must happen now and then in a simulation, or it proves less than it seems to ("sometimes" assertions, after Antithesis).
import { crashPoints } from "convergent";

// A memory store archives nothing and keeps nothing personal, and a run holds too few events for a range to be verified before the swap.
const points = crashPoints.filter((point) => !/^(?:archive|forget)\.|^rebuild\.verified$/.test(point));

export const marks: readonly string[] = [
  ...points,
  "a conflict was answered",
  "a deed was behind",
  "a deed was fresh",
  "a sending was refused",
  "a statement was behind",
  "an owner was taken",
  "answered again",
  "answered rejected",
  "answered token_epoch",
  "answered version_conflict",
  "cancel came after the saga's end",
  "history lost, told to a client",
  "older copy noticed",
  "read fresh",
  "read not fresh",
  "reader stuck",
  "readers put back to the fork",
  "rebuild begun",
  "rebuild resumed",
  "rebuild swapped",
  "rebuild dropped",
  "rebuild waiting",
  "start failed",
];
