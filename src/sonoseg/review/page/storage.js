/**
 * What the browser stores for this page. A browser that refuses storage is not an error: nothing is stored then.
 */

const PREFIX = "sonoseg.";

/**
 * @template T
 * @param {() => T} act
 * @param {T} otherwise the result where the browser refuses
 */
function attempt(act, otherwise) {
  try {
    return act();
  } catch {
    return otherwise;
  }
}

export const storage = {
  /** @param {string} name @returns {string | null} */
  get: (name) => attempt(() => localStorage.getItem(PREFIX + name), null),

  /** @param {string} name @param {string} value @returns {boolean} whether it was stored */
  set: (name, value) => attempt(() => (localStorage.setItem(PREFIX + name, value), true), false),

  /** @param {string} name */
  remove: (name) => attempt(() => localStorage.removeItem(PREFIX + name), undefined),

  /** @param {string} prefix @returns {string[]} the stored names that begin so */
  names: (prefix) => attempt(() => Object.keys(localStorage), [])
    .filter((name) => name.startsWith(PREFIX + prefix))
    .map((name) => name.slice(PREFIX.length)),
};

/** An identifier of this tab, kept across reloads. @returns {string} */
export function tabId() {
  return attempt(() => (sessionStorage.tab ||= Math.random().toString(36).slice(2, 10)), "tab");
}
