/**
 * Small helpers for the page's elements.
 */

/** The element with this id; an id that is missing is a fault of ours, told at once. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/**
 * Make an element.
 * @param {string} name its tag
 * @param {Record<string, unknown>} [properties] attributes; `text` is its text, `on...` its listeners
 * @param {(Node | string)[]} [children]
 */
export function make(name, properties = {}, children = []) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** One of the icons of icons.svg. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `page/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Tell a screen reader. */
export function speak(text) {
  byId("spoken").textContent = text;
}

/** Call `work` once, `wait` ms after the last time it was asked for; `.now()` calls it at once if it waits. */
export function later(work, wait) {
  let timer = 0;
  const run = () => {
    clearTimeout(timer);
    timer = 0;
    return work();
  };
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(run, wait);
  };
  ask.now = () => (timer ? run() : undefined);
  ask.drop = () => {
    clearTimeout(timer);
    timer = 0;
  };
  return ask;
}

/** A thing the browser keeps for this page; a browser that keeps nothing is no fault. */
export const kept = {
  get(name) {
    try {
      return localStorage.getItem(`sonoseg.${name}`);
    } catch {
      return null;
    }
  },
  /** @returns {boolean} whether it is kept */
  set(name, value) {
    try {
      localStorage.setItem(`sonoseg.${name}`, value);
      return true;
    } catch {
      return false;
    }
  },
  remove(name) {
    try {
      localStorage.removeItem(`sonoseg.${name}`);
    } catch {
      // Nothing was kept then.
    }
  },
  names(prefix) {
    try {
      return Object.keys(localStorage)
        .filter((name) => name.startsWith(`sonoseg.${prefix}`))
        .map((name) => name.slice("sonoseg.".length));
    } catch {
      return [];
    }
  },
};
