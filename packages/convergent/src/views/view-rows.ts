/**
 * The rows that one version of a view keeps, whatever their form. Whoever builds, swaps and drops versions does it
 * through this, so that every form of a view is built beside its older version in the same way.
 */
import type { DefinitionRow, WriteTransaction } from "../log/store.ts";
import type { Failed } from "../readers/verdict.ts";
import { DocumentFold, type KeyedEvent } from "./fold.ts";
import { sqlRows } from "./sql-rows.ts";
import type { AnyView } from "./view.ts";

export interface ViewRows {
  /** Makes what the rows will lie in, in the transaction that registers the version. */
  prepare(tx: WriteTransaction): Promise<void>;
  /** Asks for what `apply` will read of these events in this transaction. */
  expect?(tx: WriteTransaction, items: readonly KeyedEvent[]): void;
  /** Applies events, in log order, in the transaction that moves the checkpoint. Answers those that failed, as `ReaderOptions.apply` says. */
  apply(tx: WriteTransaction, items: readonly KeyedEvent[]): Promise<readonly Failed[]>;
}

export function rowsOf(definition: AnyView): ViewRows {
  return definition.sql ? sqlRows(definition, definition.sql) : documentRows(definition);
}

/** Deletes at most `limit` rows of a stored version, which this process need not have a definition of. Answers whether none are left. */
export async function dropSomeRows(tx: WriteTransaction, row: DefinitionRow, limit: number): Promise<boolean> {
  return (await tx.dropDocuments(row.name, row.version, limit)) < limit;
}

function documentRows(definition: AnyView): ViewRows {
  const expected = new WeakMap<WriteTransaction, { readonly fold: DocumentFold; readonly read: Promise<void> }>();
  return {
    prepare: async () => undefined,
    expect: (tx, items) => {
      const fold = new DocumentFold(definition);
      const keys = items.map(({ key }) => key);
      const read = fold.expect(tx, keys);
      read.catch(() => undefined); // `apply` meets it
      expected.set(tx, { fold, read });
    },
    apply: async (tx, items) => {
      const failed: Failed[] = [];
      const { fold, read } = expected.get(tx) ?? { fold: new DocumentFold(definition), read: undefined };
      expected.delete(tx);
      await read;
      (await fold.fold(tx, items, (index, error) => failed.push({ index, error })))();
      await fold.save(tx);
      return failed;
    },
  };
}
