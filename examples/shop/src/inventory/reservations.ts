/**
 * What orders hold of one product. There may be very many of them, and an entity's state is copied by every event: so
 * they lie in drawers, by the order's id, and a change copies one drawer. (With one list, 10,000 open orders of a
 * product make an event cost 0.3 ms, with drawers 0.02.)
 */
export interface Reservation {
  readonly order: string;
  readonly quantity: number;
  /** The amendment that it was made for, as long as that may yet be undone. */
  readonly amendment?: string;
}

/** Only drawers with something in them. An order that reserved twice is there twice. */
export type Reservations = Readonly<Record<number, readonly Reservation[]>>;

const drawers = 251;

export function withReservation(all: Reservations, reservation: Reservation): Reservations {
  const drawer = drawerOf(reservation.order);
  return { ...all, [drawer]: [...(all[drawer] ?? []), reservation] };
}

/** Without what the order holds, or holds for one amendment. */
export function withoutOrder(all: Reservations, order: string, amendment?: string): Reservations {
  const { [drawerOf(order)]: drawer = [], ...others } = all;
  const left = drawer.filter((reservation) => !isOf(reservation, order, amendment));
  return left.length === 0 ? others : { ...others, [drawerOf(order)]: left };
}

/** The pieces that an order holds, or holds for one amendment. */
export function heldBy(all: Reservations, order: string, amendment?: string): number {
  return (all[drawerOf(order)] ?? []).reduce((sum, held) => (isOf(held, order, amendment) ? sum + held.quantity : sum), 0);
}

function isOf(reservation: Reservation, order: string, amendment: string | undefined): boolean {
  return reservation.order === order && (amendment === undefined || reservation.amendment === amendment);
}

function drawerOf(order: string): number {
  let drawer = 0;
  for (let index = 0; index < order.length; index++) drawer = (drawer * 31 + order.charCodeAt(index)) % drawers;
  return drawer;
}
