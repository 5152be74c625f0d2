/**
 * The help sheet, made from the table of commands.
 */

import { byId, make } from "./dom.js";
import { COMMANDS, sayKey } from "./keys.js";

/** @param {import("./keys.js").Keys} keys */
export function makeHelp(keys) {
  const groups = Map.groupBy ? Map.groupBy(COMMANDS, (one) => one.group) : grouped();
  const sections = [...groups].map(([title, commands]) => {
    const lines = commands.flatMap(({ keys: names, label }) => {
      const shown = names.flatMap((key, k) => [k ? " or " : "", make("kbd", { text: sayKey(key) })]);
      return [make("dt", { text: label }), make("dd", {}, shown)];
    });
    return make("section", {}, [make("h3", { text: title }), make("dl", {}, lines)]);
  });
  byId("help-groups").replaceChildren(...sections);
  const letters = byId("letter-keys");
  letters.checked = keys.letters;
  letters.addEventListener("change", () => keys.setLetters(letters.checked));
}

function grouped() {
  const groups = new Map();
  for (const command of COMMANDS) groups.set(command.group, [...(groups.get(command.group) ?? []), command]);
  return groups;
}
