/** What `/readers` says: how long it takes from a write to each view, and how far each is behind. */

export interface ReaderLag {
  readonly name: string;
  readonly state: string;
  readonly position: number;
  readonly head: number;
  readonly visibilityMs?: { readonly p50: number; readonly p99: number };
}

const attemptLimitMs = 5_000;

/** Throws when the server is away. */
export async function readerLags(url: string): Promise<readonly ReaderLag[]> {
  const response = await fetch(`${url}/readers`, { signal: AbortSignal.timeout(attemptLimitMs) });
  if (!response.ok) throw new Error(`${url}/readers answers ${response.status}`);
  const { readers } = (await response.json()) as { readonly readers: readonly ReaderLag[] };
  return readers;
}
