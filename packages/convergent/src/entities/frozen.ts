/**
 * Freezes a state all the way down, because it is kept in memory and handed out: a caller that changed it would change
 * what the next command decides on. What an earlier version froze already is not walked again, so a new version costs
 * as much as what it changed.
 */
export function frozen<State>(state: State): State {
  if (typeof state !== "object" || state === null || ArrayBuffer.isView(state) || walked.has(state)) return state;
  walked.add(state);
  Object.freeze(state);
  for (const part of Array.isArray(state) ? (state as readonly unknown[]) : Object.values(state))
    if (typeof part === "object") frozen(part);
  return state;
}

// Not `Object.isFrozen`: an object that the application froze itself may hold parts that it did not.
const walked = new WeakSet<object>();
