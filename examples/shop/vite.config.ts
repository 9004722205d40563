/**
 * The shop's pages: for customers, for agents, and the life of an order. `npm start` builds them in memory (`src/pages.ts`);
 * `npm run dev` serves them with hot reload in front of a shop that `npm start` has opened.
 */
import react from "@vitejs/plugin-react";
import { join } from "node:path";
import { defineConfig } from "vite";

const root = join(import.meta.dirname, "src", "web");

/** What the gateway of a running shop answers. */
const shop = `http://localhost:${process.env["PORT"] ?? "4000"}`;
const addresses = ["/entities", "/views", "/sagas", "/ids", "/definition", "/readers", "/metrics", "/catalogue", "/lab"];

export default defineConfig({
  root,
  plugins: [react()],
  // The client as sources: nothing has to be built first.
  resolve: { conditions: ["convergent-source", "module", "browser", "production|development"] },
  build: {
    target: "es2024",
    rolldownOptions: { input: { customer: join(root, "index.html"), agent: join(root, "agent.html"), life: join(root, "life.html") } },
  },
  server: {
    port: 5173,
    proxy: { ...Object.fromEntries(addresses.map((address) => [address, shop])), "/live": { target: shop, ws: true } },
  },
});
