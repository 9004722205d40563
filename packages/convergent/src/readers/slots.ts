/** Slots: order keys hash onto a fixed number of them, stored with the reader by its checkpoint rows (R1). */

/** Slots of a reader that declares nothing else. */
export const slotsDefault = 16;

/** FNV-1a over UTF-16 code units. The slot of a key must never change, so neither may this. */
export function slotOf(key: string, slots: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) {
    hash ^= key.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % slots;
}
