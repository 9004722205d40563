/** What a value would lose as JSON text: a state that comes back changed from a snapshot would decide otherwise. */
export function lossAt(value: unknown, path = "the state"): string | undefined {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? undefined : `${path} is the number ${value}`;
  if (typeof value !== "object") return `${path} is ${value === undefined ? "undefined" : `a ${typeof value}`}`;
  if (Array.isArray(value)) return firstLoss((value as readonly unknown[]).map((part, index) => [`${path}[${index}]`, part]));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return `${path} is a ${value.constructor.name}`;
  return firstLoss(Object.entries(value).map(([name, part]) => [`${path}.${name}`, part]));
}

function firstLoss(parts: ReadonlyArray<readonly [string, unknown]>): string | undefined {
  for (const [path, part] of parts) {
    const loss = lossAt(part, path);
    if (loss) return loss;
  }
  return undefined;
}
