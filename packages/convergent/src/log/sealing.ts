/**
 * Sealed fields: AES-256-GCM (NIST SP 800-38D) with a key per person and a random nonce per value. The stream, the type
 * and the field are authenticated with it, so that a sealed value read anywhere else is noticed.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import { ConvergentError } from "../errors/error.ts";
import type { Random } from "../host/host.ts";
import { randomBytes } from "./key-vault.ts";

const nonceBytes = 12;
const tagBytes = 16;

/** Where a sealed value belongs. */
export interface SealedPlace {
  readonly stream: string;
  readonly type: string;
  readonly field: string;
}

/** Base64url of nonce, tag and ciphertext. */
export function seal(text: string, key: Uint8Array, place: SealedPlace, random: Random): string {
  const nonce = randomBytes(random, nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(associated(place));
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url");
}

/** The text that was sealed. Throws `seal_broken` when it was changed, or belongs to another place or person. */
export function unseal(sealed: unknown, key: Uint8Array, place: SealedPlace): string {
  try {
    const bytes = Buffer.from(String(sealed), "base64url");
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(associated(place));
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
    return decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, "utf8") + decipher.final("utf8");
  } catch (cause) {
    throw new ConvergentError(
      "seal_broken",
      `the sealed field "${place.field}" of ${place.type} in ${place.stream} cannot be opened by its person's key: it was changed, or put where it does not belong; compare the log with a copy`,
      { cause, details: { ...place } },
    );
  }
}

function associated({ stream, type, field }: SealedPlace): Uint8Array {
  return Buffer.from(JSON.stringify([stream, type, field]));
}
