/** Making and finding elements. Text is only ever set as text, so that no customer's name becomes markup. */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes] written as they are in HTML
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} #${id}`);
}

/** @param {number} cents */
export function money(cents) {
  return (cents / 100).toFixed(2);
}

/** @param {number} ms */
export function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Says how fresh a view's answer is: a number without that label could be any age.
 * @param {HTMLElement} element
 * @param {{ asOf: number, fresh: boolean, behind: { positions: number, ms: number } }} reading
 */
export function showFreshness(element, { asOf, fresh, behind }) {
  const late = behind.positions > 0;
  element.textContent = late
    ? `as of ${asOf}, ${behind.positions} behind (${duration(behind.ms)})${fresh ? ", with your changes" : ", catching up"}`
    : `as of ${asOf}, up to date`;
  element.className = late || !fresh ? "freshness late" : "freshness";
}

/**
 * @param {HTMLElement} element
 * @param {string} [text] nothing hides it
 */
export function showProblem(element, text = "") {
  element.textContent = text;
  element.hidden = text === "";
}
