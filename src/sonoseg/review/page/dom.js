/**
 * Helpers for the page's elements.
 */

/**
 * The element with this id. Throws where the page has none.
 * @template {keyof PageElements} K
 * @param {K} id
 * @returns {PageElements[K]}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return /** @type {any} */ (element);
}

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [properties] attributes; `text` is its text, `on...` its listeners
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, children = []) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/**
 * A button with the trash icon.
 * @param {string} label
 * @param {() => void} press
 */
export function deleteButton(label, press, disabled = false) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "page/icons.svg#delete");
  svg.append(use);
  const properties = { type: "button", class: "icon", "aria-label": label, title: label, disabled, onclick: press };
  return make("button", properties, [svg]);
}

/** Announce a text to screen readers. @param {string} text */
export function announce(text) {
  byId("announcement").textContent = text;
}

/**
 * Call `work` once, `wait` ms after the last call; `.cancel()` drops a pending call.
 * @param {() => unknown} work
 * @param {number} wait
 */
export function debounce(work, wait) {
  let timer = 0;
  const call = () => {
    clearTimeout(timer);
    timer = window.setTimeout(work, wait);
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}

/** @param {number} milliseconds @returns {Promise<void>} */
export function sleep(milliseconds) {
  return new Promise((done) => {
    setTimeout(done, milliseconds);
  });
}
