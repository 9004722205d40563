/** What a writing process of the race is told, and what it says. */
import type { Seen, Told } from "./judge.ts";

export interface Orders {
  /** With the application name by which connections of the race are told from others. */
  readonly url: string;
  readonly schema: string;
  readonly directory: string;
  readonly application: string;
  readonly process: number;
  readonly writers: number;
  /** The part of the turns that is to be rolled back, from 0 to 1. */
  readonly rollbacks: number;
  readonly seed: number;
}

export type Order =
  | { readonly do: "open"; readonly orders: Orders }
  | { readonly do: "write" }
  | { readonly do: "rest" }
  /** The log ends at this position: followers come to it, and say what they saw. */
  | { readonly do: "end"; readonly at: number };

/** How often something was done or met. */
export type Figures = Record<Figure, number>;
export const figureNames = [
  "thrown",
  "own connection ended",
  "another's connection ended",
  "conflicts",
  "repeats that found the first",
  "failures",
] as const;
type Figure = (typeof figureNames)[number];

export type Said =
  | { readonly kind: "opened" }
  | { readonly kind: "written"; readonly told: readonly Told[]; readonly figures: Figures }
  | { readonly kind: "seen"; readonly seen: readonly Seen[]; readonly pages: number }
  /** Something that must not happen. */
  | { readonly kind: "complaint"; readonly message: string };
