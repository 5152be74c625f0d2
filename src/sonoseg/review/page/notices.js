/**
 * What the page has to tell, above the work: errors, and questions that wait for an answer without stopping work.
 */

import { byId, make } from "./dom.js";

const shown = new Map();

/**
 * @param {string} text
 * @param {object} [options]
 * @param {string} [options.key] a notice with the same key is replaced
 * @param {boolean} [options.bad] an error
 * @param {number} [options.seconds] it goes by itself then
 * @param {Record<string, () => void>} [options.choices] a button each; the notice goes when one is pressed
 * @returns {() => void} takes it away
 */
export function notice(text, { key = text, bad = false, seconds = 0, choices = null } = {}) {
  shown.get(key)?.();
  const box = make("div", { class: bad ? "notice bad" : "notice", role: "alert" }, [make("p", { text })]);
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
  return close;
}

/** Tell of an error; what is no ApiError is a fault of ours and goes to the console too. */
export function fault(error, key = "fault") {
  if (error.name === "AbortError") return;
  if (error.status === undefined) console.error(error);
  if (error.status === 401) return; // the token's dialog asks already
  notice(error.message || String(error), { key, bad: true });
}

/** Take a notice away. */
export function forget(key) {
  shown.get(key)?.();
}
