// The one contract suite for stores: every store of the toolkit passes it, through `Log` and `Store`, on the real disk.
import { describe } from "vitest";
import { appendContract } from "./appends.ts";
import { archiveContract } from "./archive.ts";
import { byteContract } from "./bytes.ts";
import { copyContract } from "./copies.ts";
import { epochContract } from "./epochs.ts";
import { idContract } from "./ids.ts";
import { oldEventContract } from "./old-events.ts";
import { rebuildRowContract } from "./rebuild-rows.ts";
import { readerRowContract } from "./reader-rows.ts";
import { rowContract } from "./rows.ts";
import { togetherContract } from "./together.ts";
import { snapshotContract } from "./snapshots.ts";
import { type StoreKind, storeKinds } from "./store-kinds.ts";
import { transferContract } from "./transfer.ts";
import { exportedReadersContract } from "./exported-readers.ts";
import { transactionContract } from "./transactions.ts";

function storeContract(name: string, kinds: readonly StoreKind[]): void {
  describe.each(kinds)(`${name}: $name`, (kind) => {
    appendContract(kind);
    idContract(kind);
    togetherContract(kind);
    transactionContract(kind);
    rowContract(kind);
    readerRowContract(kind);
    rebuildRowContract(kind);
    byteContract(kind);
    epochContract(kind);
    archiveContract(kind);
    oldEventContract(kind);
    transferContract(kind);
    exportedReadersContract(kind);
    copyContract(kind);
    snapshotContract(kind);
  });
}

storeContract("the contract of stores", storeKinds);
