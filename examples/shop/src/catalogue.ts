/** What the shop sells. The services know products by their names only; prices travel in the orders. */
export interface Product {
  readonly product: string;
  readonly title: string;
  /** In cents. */
  readonly price: number;
  /** Pieces in the warehouse when the shop opens for the first time. */
  readonly stock: number;
}

export const catalogue: readonly Product[] = [
  { product: "sencha-100g", title: "Sencha, 100 g", price: 1250, stock: 240 },
  { product: "lime-honey", title: "Lime blossom honey", price: 890, stock: 120 },
  { product: "clay-teapot", title: "Clay teapot, 0.6 l", price: 4800, stock: 60 },
  { product: "walnut-tray", title: "Walnut tray", price: 3450, stock: 48 },
  { product: "wool-blanket", title: "Wool blanket", price: 7900, stock: 3 },
];
