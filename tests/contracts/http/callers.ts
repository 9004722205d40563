// Who the tests of authentication ask as: an issuer with keys of its own, and tokens of every kind, good and bad.
import { exportJWK, exportSPKI, generateKeyPair, type GenerateKeyPairResult, type JWK, SignJWT } from "jose";

export const issuer = "https://id.example.com/";
export const audience = "orders";

/** Signs tokens as an identity provider would. */
export class Issuer {
  readonly #keys: GenerateKeyPairResult;
  readonly publicKey: JWK;
  readonly pem: string;

  private constructor(keys: GenerateKeyPairResult, publicKey: JWK, pem: string) {
    this.#keys = keys;
    this.publicKey = publicKey;
    this.pem = pem;
  }

  static async make(kid = "key-1"): Promise<Issuer> {
    const keys = await generateKeyPair("ES256", { extractable: true });
    return new Issuer(keys, { ...(await exportJWK(keys.publicKey)), kid, alg: "ES256" }, await exportSPKI(keys.publicKey));
  }

  /** A token for a subject; `claims` replace the usual ones, `undefined` leaves one out. */
  async token(subject: string, claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const payload = { iss: issuer, aud: audience, sub: subject, iat: now, exp: now + 300, ...claims };
    const given = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
    return new SignJWT(given).setProtectedHeader({ alg: "ES256", kid: this.publicKey.kid as string }).sign(this.#keys.privateKey);
  }
}

/** A token put together by hand, signed by whatever `signature` says. */
export function forged(header: object, payload: object, signature = ""): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part(header)}.${part(payload)}.${signature}`;
}

/** The header that carries a token. */
export function as(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}
