/**
 * Keys of persons in a file of its own beside the store: records of one size, so that a key is destroyed where it lies.
 *
 *   header   magic (16), secret for pseudonyms (32), generation (8), zeros
 *   record   pseudonym (16), state (1), zeros (7), key (32), checksum (8)
 *
 * - A key is on the disk before anything that it sealed is (L2); a destroyed one is overwritten there before anybody is told.
 * - Several processes share the file: records are appended whole, the first one of a pseudonym counts, and each
 *   destruction changes the generation, at which every process reads the file anew.
 */
import { closeSync, constants, existsSync, fstatSync, fsyncSync, linkSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { ConvergentError } from "../../errors/error.ts";
import type { Random } from "../../host/host.ts";
import { digestOf } from "../../log/digest.ts";
import { forgottenPerson, keyBytes, type KeyVault, pseudonymOf, randomBytes } from "../../log/key-vault.ts";
import { unwritable } from "./unwritable.ts";

const recordBytes = 64;
const magic = Buffer.from("convergent-keys1");
const secretAt = 16;
const generationAt = 48;
const generationBytes = 8;
const live = 1;
const destroyed = 2;

interface Entry {
  readonly offset: number;
  /** `undefined` once it is destroyed. */
  readonly key: Uint8Array | undefined;
}

export class FileVault implements KeyVault {
  readonly #path: string;
  readonly #random: Random;
  readonly #entries = new Map<string, Entry>();
  #file: number | undefined;
  #secret = "";
  #generation = "";
  #read = 0;

  constructor(path: string, random: Random) {
    this.#path = path;
    this.#random = random;
  }

  pseudonym(person: string): string {
    this.#open();
    return pseudonymOf(this.#secret, person);
  }

  key(pseudonym: string): Uint8Array | undefined {
    if (!this.#look()) return undefined;
    if (!this.#entries.has(pseudonym)) this.#load();
    return this.#entries.get(pseudonym)?.key;
  }

  async create(pseudonym: string): Promise<Uint8Array> {
    this.#open();
    const known = this.#entry(pseudonym) ?? this.#append(pseudonym, live, randomBytes(this.#random, keyBytes));
    if (!known.key) throw forgottenPerson(pseudonym);
    return known.key;
  }

  async destroy(pseudonym: string): Promise<void> {
    const file = this.#open();
    // Somebody may have made a key at the same moment: then theirs is the first record, and is destroyed too.
    const entry = this.#entry(pseudonym) ?? this.#append(pseudonym, destroyed, new Uint8Array(keyBytes));
    if (entry.key) writeSync(file, record(pseudonym, destroyed, new Uint8Array(keyBytes)), 0, recordBytes, entry.offset);
    fsyncSync(file);
    writeSync(file, randomBytes(this.#random, 16), 0, generationBytes, generationAt);
    fsyncSync(file);
    this.#look();
  }

  forgotten(): readonly string[] {
    if (!this.#look()) return [];
    this.#load();
    return [...this.#entries].filter(([, { key }]) => !key).map(([pseudonym]) => pseudonym);
  }

  generation(): string {
    return this.#look() ? this.#generation : "";
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#entries.clear();
  }

  /** Notices what other processes destroyed. Answers whether there is a file. */
  #look(): boolean {
    if (this.#file === undefined) {
      if (!existsSync(this.#path)) return false;
      this.#open();
    }
    const stamp = Buffer.alloc(generationBytes);
    readSync(this.#file as number, stamp, 0, generationBytes, generationAt);
    const generation = stamp.toString("hex");
    if (generation === this.#generation) return true;
    this.#entries.clear();
    this.#read = recordBytes;
    this.#generation = generation;
    this.#load();
    return true;
  }

  #entry(pseudonym: string): Entry | undefined {
    this.#look();
    if (!this.#entries.has(pseudonym)) this.#load();
    return this.#entries.get(pseudonym);
  }

  #append(pseudonym: string, state: number, key: Uint8Array): Entry {
    const file = openSync(this.#path, constants.O_WRONLY | constants.O_APPEND);
    try {
      writeSync(file, record(pseudonym, state, key));
      fsyncSync(file);
    } catch (cause) {
      throw unwritable(this.#path, cause);
    } finally {
      closeSync(file);
    }
    this.#load();
    return this.#entries.get(pseudonym) as Entry;
  }

  /** Reads the records that were appended since. */
  #load(): void {
    const file = this.#file as number;
    const { size } = fstatSync(file);
    if (size % recordBytes !== 0) throw this.#broken("its length is no multiple of a record's");
    const bytes = Buffer.alloc(Math.max(0, size - this.#read));
    readSync(file, bytes, 0, bytes.length, this.#read);
    for (let at = 0; at < bytes.length; at += recordBytes) {
      const part = bytes.subarray(at, at + recordBytes);
      const pseudonym = part.subarray(0, 16).toString("base64url");
      const key = Uint8Array.from(part.subarray(24, 56));
      const isLive = part[16] === live;
      if (!part.equals(record(pseudonym, part[16] as number, key))) throw this.#broken(`the record at ${this.#read + at} is damaged`);
      if (!this.#entries.has(pseudonym)) this.#entries.set(pseudonym, { offset: this.#read + at, key: isLive ? key : undefined });
    }
    this.#read += bytes.length;
  }

  #open(): number {
    if (this.#file !== undefined) return this.#file;
    try {
      if (!existsSync(this.#path)) this.#create();
      this.#file = openSync(this.#path, "r+");
    } catch (cause) {
      throw unwritable(this.#path, cause);
    }
    const header = Buffer.alloc(recordBytes);
    if (readSync(this.#file, header, 0, recordBytes, 0) < recordBytes || !header.subarray(0, magic.length).equals(magic))
      throw this.#broken("it does not begin like a file of keys");
    this.#secret = header.subarray(secretAt, generationAt).toString("base64url");
    this.#read = recordBytes;
    this.#look();
    return this.#file;
  }

  // Linked into its place whole: of two processes that make it at once, one finds the other's.
  #create(): void {
    const draft = `${this.#path}-${this.#random.id()}`;
    const header = Buffer.alloc(recordBytes);
    magic.copy(header);
    header.set(randomBytes(this.#random, 32), secretAt);
    header.set(randomBytes(this.#random, 16).subarray(0, generationBytes), generationAt);
    const file = openSync(draft, "wx", 0o600);
    try {
      writeSync(file, header);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    try {
      linkSync(draft, this.#path);
    } catch (cause) {
      if (!existsSync(this.#path)) throw cause;
    } finally {
      rmSync(draft);
    }
    const directory = openSync(dirname(this.#path), "r");
    fsyncSync(directory);
    closeSync(directory);
  }

  #broken(why: string): ConvergentError {
    return new ConvergentError(
      "store_broken",
      `${this.#path} is damaged: ${why}; put back a copy of it, or what it sealed stays unreadable`,
      {
        details: { path: this.#path },
      },
    );
  }
}

function record(pseudonym: string, state: number, key: Uint8Array): Buffer {
  const bytes = Buffer.alloc(recordBytes);
  bytes.write(pseudonym, 0, 16, "base64url");
  bytes[16] = state;
  bytes.set(key, 24);
  bytes.write(digestOf(bytes.subarray(0, 56).toString("latin1")), 56, 8, "base64url");
  return bytes;
}
