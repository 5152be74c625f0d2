/**
 * The help: all commands with their keys.
 */

import { COMMANDS } from "./commands.js";
import { byId, make } from "./dom.js";
import { formatKey } from "./keyboard.js";

/** @param {import("./keyboard.js").Keyboard} keyboard */
export function fillHelpDialog(keyboard) {
  const titles = [...new Set(COMMANDS.map(({ group }) => group))];
  const sections = titles.map((title) => {
    const lines = COMMANDS.filter(({ group }) => group === title).flatMap(({ keys, label }) => {
      const shown = keys.flatMap((key, k) => [k ? " or " : "", make("kbd", { text: formatKey(key) })]);
      return [make("dt", { text: label }), make("dd", {}, shown)];
    });
    return make("section", {}, [make("h3", { text: title }), make("dl", {}, lines)]);
  });
  byId("help-groups").replaceChildren(...sections);
  const letters = byId("letter-keys");
  letters.checked = keyboard.letters;
  letters.addEventListener("change", () => keyboard.setLetters(letters.checked));
}
