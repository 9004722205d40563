/** L1 and L3: positions 1..N in each lineage, versions 1..k in each stream, times that never decrease, and bytes that are their digest's. */
import { eventDigest } from "../../log/digest.ts";
import type { Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";

export function checkLog(lineages: Lineages): Violation[] {
  const found: Violation[] = [];
  const violation = (message: string): number => found.push({ checker: "log", message });
  for (const store of lineages.stores) {
    for (const [lineage, { events }] of lineages.of(store).entries()) {
      const versions = new Map<string, number>();
      let at = 0;
      for (const [index, event] of events.entries()) {
        const place = `${store}, lineage ${lineage}, event ${event.id}`;
        if (event.position !== index + 1) violation(`${place}: position ${event.position} where ${index + 1} follows`);
        const version = (versions.get(event.stream) ?? 0) + 1;
        if (event.version !== version) violation(`${place}: version ${event.version} of ${event.stream} where ${version} follows`);
        versions.set(event.stream, event.version);
        if (event.at < at) violation(`${place}: its time ${event.at} is before ${at}`);
        at = event.at;
        if (eventDigest(event) !== event.digest) violation(`${place}: its digest is not that of its content`);
      }
    }
  }
  return found;
}
