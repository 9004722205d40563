// A conflict tells of earlier states, which a long stream remembers in memory: of a forgotten person it tells nothing.
import { memory } from "convergent/memory";
import { expect, onTestFinished, test } from "vitest";
import { customers, secrets } from "../persons/customers.ts";

test("after a person was forgotten, a conflict shows base, state and events without that person's data", async () => {
  const running = await customers.start({ store: memory() });
  onTestFinished(() => running.stop());
  const ada = running.customer("ada");
  const [name = "", street = "", birthday = ""] = secrets;
  await ada.register({ customer: "ada", name, address: { street }, birthday });
  for (let index = 0; index < 400; index++) await ada.note({ note: "called" });
  for (const expected of [390, 1]) {
    const known = await ada.note({ note: "again" }, { expected });
    expect(known).toMatchObject({ kind: "conflict", base: { name, street }, state: { name, street } });
  }
  await running.forget("ada", { reason: "she asked" });
  for (const expected of [390, 340, 1]) {
    const conflict = await ada.note({ note: "again" }, { expected });
    expect(conflict).toMatchObject({ kind: "conflict", base: { name: "forgotten" }, state: { name: "forgotten" } });
    for (const secret of secrets) expect(JSON.stringify(conflict)).not.toContain(secret);
  }
});
