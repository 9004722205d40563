/** Puts the page together and keeps it up to date while somebody looks at it. */
import { find, make, showProblem } from "./elements.js";
import { onRequest, read } from "./http.js";
import { showOrder, watch } from "./order-details.js";
import { customerName, onCustomer, setUpForm } from "./order-form.js";
import { refreshList, setUpList } from "./order-list.js";
import { refreshReaders, refreshStock } from "./status.js";

/** Copies are asked for this often while nothing happens. */
const refreshMs = 2000;

const requestsMax = 40;

const notice = find("notice", HTMLElement);
const requests = find("requests", HTMLElement);

onRequest((line, outcome) => {
  requests.prepend(make("li", {}, make("span", {}, line), make("span", { class: "faint" }, outcome)));
  requests.children[requestsMax]?.remove();
});

async function refresh() {
  try {
    await Promise.all([...(customerName() === "" ? [] : [refreshList(customerName())]), refreshStock(), refreshReaders()]);
    showProblem(notice);
  } catch {
    showProblem(notice, "The shop does not answer. What you see may be old; it is asked again every two seconds.");
  }
}

/** @type {import("./http.js").Answer<import("./order-form.js").Product[]>} */
const catalogue = await read(["catalogue"]);
setUpForm(catalogue.ok ? catalogue.body : [], (known, deed) => {
  watch(known, deed);
  void refresh();
});
setUpList((order) => void showOrder(order));
onCustomer(() => void refresh());
document.addEventListener("visibilitychange", () => void (document.hidden || refresh()));
await refresh();
setInterval(() => void (document.hidden || refresh()), refreshMs);
