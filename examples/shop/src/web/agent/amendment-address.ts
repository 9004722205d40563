/** The id of the amendment that is shown, in the page's address: who reloads it, or opens it elsewhere, sees the same. */

/** The one in the address, if it is of this order. */
export function keptAmendment(order: string): string | undefined {
  const kept = new URLSearchParams(location.search).get("amendment") ?? undefined;
  return kept?.startsWith(`${order}:`) ? kept : undefined;
}

export function keepAmendment(id: string): void {
  change((parameters) => parameters.set("amendment", id));
}

export function forgetAmendment(): void {
  change((parameters) => parameters.delete("amendment"));
}

function change(how: (parameters: URLSearchParams) => void): void {
  const address = new URL(location.href);
  how(address.searchParams);
  history.replaceState(null, "", address);
}
