/**
 * Keys by person, kept outside the store and its copies: destroying one key makes what it sealed unreadable everywhere,
 * and leaves every byte of the log as it was. Stores know persons by pseudonyms only.
 */
import { hash } from "node:crypto";
import { ConvergentError } from "../errors/error.ts";
import type { Random } from "../host/host.ts";

export interface KeyVault {
  /** 22 letters: the same for one person for ever, and nobody without the vault can tell whose they are. */
  pseudonym(person: string): string;
  /** The key of a pseudonym; `undefined` when it was destroyed, or never made here. Asked at every read of sealed data, so it answers at once. */
  key(pseudonym: string): Uint8Array | undefined;
  /** The key of a pseudonym, made durably when there is none. Throws `person_forgotten`. */
  create(pseudonym: string): Promise<Uint8Array>;
  /** Destroys the key durably, and sees to it that none is made again. */
  destroy(pseudonym: string): Promise<void>;
  /** Pseudonyms whose keys were destroyed. */
  forgotten(): readonly string[];
  /** Changes when a key is destroyed, by whatever process: what was unsealed before may be kept no longer. */
  generation(): string;
}

/** Bytes of a key of AES-256. */
export const keyBytes = 32;

/** Random bytes out of the host's ids, each of which has 128 random bits. */
export function randomBytes(random: Random, count: 12 | 16 | 32): Uint8Array {
  return hash("sha256", random.id() + random.id(), "buffer").subarray(0, count);
}

/** Base64url of 128 bits of a keyed hash: 22 letters. */
export function pseudonymOf(secret: string, person: string): string {
  if (person === "") throw new ConvergentError("invalid_input", "a person has an id that is not empty");
  return hash("sha256", secret + hash("sha256", secret + person, "base64url"), "buffer")
    .subarray(0, 16)
    .toString("base64url");
}

export function forgottenPerson(pseudonym: string): ConvergentError {
  return new ConvergentError(
    "person_forgotten",
    `the person ${pseudonym} was forgotten and nothing more is kept of them; someone who comes back is a new person, under a new id`,
    { details: { person: pseudonym } },
  );
}
