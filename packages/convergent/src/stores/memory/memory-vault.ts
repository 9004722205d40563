/** Keys of persons in memory: they live as long as the driver that holds them, like the data they seal. */
import type { Random } from "../../host/host.ts";
import { forgottenPerson, keyBytes, type KeyVault, pseudonymOf, randomBytes } from "../../log/key-vault.ts";

export function memoryVault(random: Random): KeyVault {
  const secret = random.id() + random.id();
  const keys = new Map<string, Uint8Array | "destroyed">();
  const keyOf = (pseudonym: string): Uint8Array | undefined => {
    const key = keys.get(pseudonym);
    return key === "destroyed" ? undefined : key;
  };
  let destroyed = 0;
  return {
    pseudonym: (person) => pseudonymOf(secret, person),
    key: keyOf,
    create: async (pseudonym) => {
      if (keys.get(pseudonym) === "destroyed") throw forgottenPerson(pseudonym);
      const key = keyOf(pseudonym) ?? randomBytes(random, keyBytes);
      keys.set(pseudonym, key);
      return key;
    },
    destroy: async (pseudonym) => {
      keyOf(pseudonym)?.fill(0);
      keys.set(pseudonym, "destroyed");
      destroyed++;
    },
    forgotten: () => [...keys].filter(([, key]) => key === "destroyed").map(([pseudonym]) => pseudonym),
    generation: () => String(destroyed),
  };
}
