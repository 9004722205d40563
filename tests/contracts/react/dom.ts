/**
 * A document for React, and nothing else of a browser: requests, signals and timers stay Node's own, which the gateway knows. To be
 * imported before the testing library.
 */
import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });

for (const [name, value] of Object.entries({
  window,
  document: window.document,
  HTMLElement: window.HTMLElement,
  HTMLIFrameElement: window.HTMLIFrameElement,
  Element: window.Element,
  Node: window.Node,
  MutationObserver: window.MutationObserver,
}))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
