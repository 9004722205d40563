/**
 * The world as the toolkit sees it: clock, randomness, timers, disk and network. The real one is in `host-node` and
 * `host-web`; a simulator brings its own and then runs the very same code in virtual time. Nothing above this file
 * may ask the platform for any of these.
 */
import type { CrashPoint } from "./crash-points.ts";

/** A cancellation as `AbortSignal` offers it; written out because the toolkit's browser-safe rooms know no DOM. */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** Two clocks: the time of day, and one that never goes back. */
export interface Clock {
  /** Wall time in milliseconds since 1970; may jump. */
  now(): number;
  /** Milliseconds since some start, never backwards, with fractions: for measuring and for deadlines. */
  elapsed(): number;
}

/** Where ids and jitter come from. */
export interface Random {
  /** A number from 0 (included) to 1 (excluded). */
  fraction(): number;
  /** A fresh id of `[a-z0-9]`, 26 characters, at least 128 random bits. */
  id(): string;
}

/** What was asked for and has not run yet. */
export interface Timer {
  cancel(): void;
}

/** Waiting, and doing something later. */
export interface Timers {
  /** Calls `run` once, after `ms` milliseconds. It keeps no process alive, unless somebody `awaits` it. */
  after(ms: number, run: () => void, awaited?: "awaited"): Timer;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when cancelled. */
  sleep(ms: number, signal?: CancelSignal): Promise<void>;
  /** Resolves when everything that is ready to run now has run (one turn of the event loop). */
  turn(): Promise<void>;
}

/** An append-only file. After a crash, what `sync` had covered is there; anything later may be missing or torn. */
export interface DiskFile {
  append(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** Files that are written at their end or as a whole. */
export interface Disk {
  /** The whole file, or `undefined` when there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /**
   * Opens for appending; creates the file and its directory, durably, when they are missing. One opener at a time:
   * throws `store_unwritable` while another one, of this process or of another, has not closed it and lives.
   */
  open(path: string): Promise<DiskFile>;
  /**
   * Replaces a file as a whole: whoever reads it meanwhile finds the old content or the new one. Not synced: a power cut
   * may leave it empty.
   */
  replace(path: string, bytes: Uint8Array): Promise<void>;
}

/** A request over HTTP. */
export interface NetworkRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Give up after so many milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: CancelSignal;
}

/** A complete answer over HTTP. */
export interface NetworkResponse {
  readonly status: number;
  /** A header by its name, in any case. */
  header(name: string): string | undefined;
  readonly body: string;
}

/** A connection over which texts come and go, in order, until it breaks. */
export interface NetworkSocket {
  /** What is sent over a connection that is breaking is lost. */
  send(text: string): void;
  close(): void;
}

/** What a connection is told of; nothing more after `closed`. */
export interface SocketListener {
  opened(): void;
  heard(text: string): void;
  /** It broke, was closed, or never came to be. The code is that of RFC 6455. */
  closed(code: number): void;
}

/** The way to other processes. */
export interface Network {
  /** Rejects when no complete answer came: whether the request took effect is then unknown. */
  request(request: NetworkRequest): Promise<NetworkResponse>;
  /** Opens a WebSocket at an `http:` or `https:` address; absent where there are none. */
  socket?(url: string, protocols: readonly string[], listener: SocketListener): NetworkSocket;
}

/** This process among those that may share a store with it. */
export interface Processes {
  /** Names the place whose processes can see each other (a machine, or a container of it), and this process there for good. */
  readonly self: { readonly place: string; readonly process: string };
  /** Whether that process is known to have ended. Of a process elsewhere nothing is known: false. */
  isGone(place: string, process: string): boolean;
}

/** The machine, as the toolkit sees it: everything that is not computation. A simulator puts its own in place. */
export interface Host {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly disk: Disk;
  readonly network: Network;
  readonly processes: Processes;
  /** Called at each named crash point; does nothing outside tests and simulations. */
  reached(point: CrashPoint): void;
}
