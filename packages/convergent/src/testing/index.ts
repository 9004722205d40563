/** Entry point `convergent/testing`: what a service decides, given a past; and what becomes of it when everything goes wrong. */
export { given, type Given, type PastOf } from "./given.ts";
export type { GivenEntity, Led, WhenOptions } from "./given-entity.ts";
export type { Documents, GivenView } from "./given-view.ts";
export type { About, NamedData, PastEvent, ViewedEvent, Written } from "./past.ts";
