/** The ids that a store has voided. */
import type { IdRecord, Store } from "../log/store.ts";

/** Ids of one page. */
const pageIds = 1000;

/** In the order in which they were voided, page by page. */
export async function* voidedIds(store: Store): AsyncGenerator<IdRecord> {
  let after: number | undefined;
  for (;;) {
    const from = after;
    const page = await store.read((tx) => tx.remembered({ state: "void", limit: pageIds, ...(from === undefined ? {} : { after: from }) }));
    if (page.records.length === 0) return;
    yield* page.records;
    after = page.next;
  }
}
