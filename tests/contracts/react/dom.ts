/**
 * A document for React, and nothing else of a browser: requests, signals and timers stay Node's own, which the gateway knows. To be
 * imported before the testing library.
 */
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });

/** What components are rendered into, with the types of its own: the compiler knows no browser here. */
export const { document } = window;

for (const [name, value] of Object.entries({
  window,
  document,
  HTMLElement: window.HTMLElement,
  HTMLIFrameElement: window.HTMLIFrameElement,
  Element: window.Element,
  Node: window.Node,
  MutationObserver: window.MutationObserver,
}))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
