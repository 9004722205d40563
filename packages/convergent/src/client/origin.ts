/** Where parts and commands of a client come from, for what is built on clients: their names in the program, and ids for commands. */

/** A client's part, or a command of it. */
export interface Origin {
  /** Tells clients of one page apart. */
  readonly client: number;
  /** The name of the part in the program. */
  readonly part: string;
  /** Makes an id for a command. */
  readonly newId: () => string;
}

const origins = new WeakMap<object, Origin>();
let clients = 0;

/** A number that no client of this page had before. */
export function nextClient(): number {
  return ++clients;
}

/** The same object, with its origin known. */
export function withOrigin<T extends object>(made: T, origin: Origin): T {
  origins.set(made, origin);
  return made;
}

/** Where a part or a command comes from; `undefined` for what no client has made. */
export function originOf(made: object): Origin | undefined {
  return origins.get(made);
}
