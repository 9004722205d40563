/** What the next event of a log has to be, behind the one before it. */
import { eventDigest } from "../log/digest.ts";
import type { StoredEvent } from "../log/event.ts";

/** What is wrong with an event that is to follow; nothing when it may. `version` is the one its stream is at. */
export function disorder(
  event: StoredEvent,
  before: { readonly position: number; readonly at: number; readonly version: number },
): string[] {
  const wrong: string[] = [];
  if (event.position !== before.position + 1) wrong.push(`it follows position ${before.position}`);
  if (event.version !== before.version + 1) wrong.push(`version ${event.version} of ${event.stream} follows version ${before.version}`);
  if (event.at < before.at) wrong.push("its time lies before that of the event before it");
  if (!/^[^/]+\/./s.test(event.stream) || [event.stream, event.type, event.id].some((part) => part.includes("\u0000")))
    wrong.push(`${JSON.stringify(event.stream)} is no stream, or a name holds NUL`);
  if (event.digest !== eventDigest(event)) wrong.push("its content does not fit its digest");
  return wrong;
}
