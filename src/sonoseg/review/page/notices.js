/**
 * Messages above the viewer: errors, and questions that do not block the work.
 */

import { byId, make } from "./dom.js";

/** @type {Map<string, () => void>} */
const shown = new Map();

/**
 * Show a message.
 * @param {string} text
 * @param {object} [options]
 * @param {string} [options.key] replaces the message with the same key
 * @param {boolean} [options.error]
 * @param {number} [options.seconds] after which it closes; 0: never
 * @param {Record<string, () => unknown> | null} [options.choices] a button each; pressing one closes the message
 */
export function notice(text, { key = text, error = false, seconds = 0, choices = null } = {}) {
  dismiss(key);
  const box = make("div", { class: error ? "notice bad" : "notice", role: "alert" }, [make("p", { text })]);
  const close = () => {
    box.remove();
    shown.delete(key);
  };
  for (const [label, act] of Object.entries(choices ?? { Close: () => {} })) {
    const press = () => {
      close();
      act();
    };
    box.append(make("button", { type: "button", text: label, onclick: press }));
  }
  byId("notices").append(box);
  shown.set(key, close);
  if (seconds) setTimeout(() => shown.get(key) === close && close(), seconds * 1000);
}

/**
 * Show an error. One that is not an ApiError is a bug of the page and goes to the console too.
 * @param {any} error
 */
export function showError(error, key = "error") {
  if (error.name === "AbortError") return;
  if (error.status === undefined) console.error(error);
  if (error.status === 401) return; // the token dialog is open
  notice(error.message || String(error), { key, error: true });
}

/** Close a message. @param {string} key */
export function dismiss(key) {
  shown.get(key)?.();
}
