/**
 * The keyboard: one table of commands, from which the help sheet is made too, so that it cannot be wrong.
 */

import { kept } from "./dom.js";

/**
 * Every command: [name, keys, what it does, group]. Keys are as KeyboardEvent.key says them; "Mod+" is Ctrl or
 * Cmd, "Shift+" Shift. `hold` commands last as long as the key is down.
 */
export const COMMANDS = [
  ["next", ["j"], "Next picture", "Work list"],
  ["previous", ["k"], "Previous picture", "Work list"],
  ["next-to-do", ["u"], "Next picture to do", "Work list"],
  ["search", ["/"], "Search", "Work list"],
  ["add", ["Shift+A"], "Add files", "Work list"],
  ["export", ["Shift+E"], "Export", "Work list"],
  ["sign", ["Mod+Enter"], "Sign, open the next to do", "Sign"],
  ["refer", ["Shift+R"], "Refer to another reader", "Sign"],
  ["reopen", ["Shift+O"], "Reopen what is signed or referred", "Sign"],
  ["reader", ["i"], "Enter your initials", "Sign"],
  ["describe", ["y"], "Go to the descriptors", "Sign"],
  ["comment", ["t"], "Go to the comment", "Sign"],
  ["hand", ["g"], "Hand: move the picture", "Tools"],
  ["window", ["w"], "Window and level", "Tools"],
  ["calliper", ["m"], "Callipers", "Tools"],
  ["click", ["c"], "Smart click; Shift or Alt: outside", "Tools"],
  ["brush", ["b"], "Brush; Alt erases", "Tools"],
  ["eraser", ["e"], "Eraser; Alt draws", "Tools"],
  ["polygon", ["p"], "Polygon; Alt cuts out; on the last corner again: close", "Tools"],
  ["smaller", ["["], "Smaller brush", "Tools"],
  ["larger", ["]"], "Larger brush", "Tools"],
  ["undo", ["z", "Mod+z"], "Undo", "Mend"],
  ["redo", ["Shift+Z", "Mod+Shift+Z", "Mod+y"], "Redo", "Mend"],
  ["delete-lesion", ["x"], "Delete the lesion under the pointer or cross", "Mend"],
  ["no-lesion", ["n"], "No lesion: an empty mask", "Mend"],
  ["restore", ["r"], "The model's mask again", "Mend"],
  ["hide", ["h"], "Hide all that is drawn, while held", "Look", "hold"],
  ["grab", [" "], "Move the picture with a drag, while held", "Look", "hold"],
  ["outline", ["o"], "Contour on or off", "Look"],
  ["doubt", ["d"], "Doubt band on or off", "Look"],
  ["sizes", ["l"], "Sizes on or off", "Look"],
  ["probability", ["f"], "Probability on or off", "Look"],
  ["attention", ["a"], "Attention: each gate in turn, then off", "Look"],
  ["beside", ["s"], "Two views side by side", "Look"],
  ["pin", ["Shift+S"], "Keep this picture in the second view", "Look"],
  ["zoom-in", ["+", "="], "Zoom in", "Look"],
  ["zoom-out", ["-"], "Zoom out", "Look"],
  ["fit", ["0"], "Fit the picture", "Look"],
  ["one-to-one", ["1"], "One to one", "Look"],
  ["window-reset", ["Shift+W"], "Greys as they are", "Look"],
  ["frame-back", [","], "One frame back", "Clip"],
  ["frame-on", ["."], "One frame on", "Clip"],
  ["frames-back", ["<"], "Ten frames back", "Clip"],
  ["frames-on", [">"], "Ten frames on", "Clip"],
  ["frame-first", ["Home"], "First frame", "Clip"],
  ["frame-last", ["End"], "Last frame", "Clip"],
  ["picture", ["v"], "Go to the picture: arrows move, Enter uses the tool", "Page"],
  ["help", ["?"], "This sheet", "Page"],
  ["theme", ["Shift+T"], "Dark or light", "Page"],
  ["cancel", ["Escape"], "Give up what is half done; close", "Page"],
].map(([name, keys, label, group, hold]) => ({ name, keys, label, group, hold: hold === "hold" }));

/** The name a key event goes by in the table. No DOM. */
export function nameOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (altKey) return null;
  const letter = /^[a-z]$/i.test(key);
  // Signs already say their Shift: "?" is typed with it on many keyboards, on others not.
  const shift = shiftKey && (letter || key.length > 1) ? "Shift+" : "";
  const mod = ctrlKey || metaKey ? "Mod+" : "";
  return `${mod}${shift}${letter ? (shiftKey ? key.toUpperCase() : key.toLowerCase()) : key}`;
}

/** A key as the help sheet writes it. */
export function sayKey(key) {
  const mac = /Mac|iPad|iPhone/.test(globalThis.navigator?.platform ?? "");
  const names = { " ": "Space", Escape: "Esc", "<": "<", ">": ">" };
  return key.split(/\+(?=.)/).map((part) => {
    if (part === "Mod") return mac ? "⌘" : "Ctrl";
    return names[part] ?? (part.length === 1 ? part.toUpperCase() : part);
  }).join("+");
}

const TYPING = "input:not([type=radio], [type=checkbox], [type=range]), textarea, select";

const ONCE = ["sign", "refer", "reopen", "no-lesion", "restore", "delete-lesion"]; // a key held down repeats

export class Keys {
  /**
   * @param {(name: string, down: boolean) => unknown} run does a command; for `hold` ones twice
   * @param {(event: KeyboardEvent) => boolean} onCanvas what the picture does with a key first
   */
  constructor(run, onCanvas) {
    this.run = run;
    this.onCanvas = onCanvas;
    this.held = new Set();
    this.letters = kept.get("letters") !== "off";
    this.table = new Map();
    for (const command of COMMANDS) for (const key of command.keys) this.table.set(key, command);
    addEventListener("keydown", (event) => this.down(event));
    addEventListener("keyup", (event) => this.up(event));
    addEventListener("blur", () => this.letGo());
  }

  /** Single letters as shortcuts can be switched off (WCAG 2.1.4): for who types with a voice. */
  setLetters(on) {
    this.letters = on;
    kept.set("letters", on ? "on" : "off");
  }

  down(event) {
    if (event.defaultPrevented || event.isComposing) return;
    const name = nameOf(event);
    const command = this.table.get(name);
    const typing = event.target.closest?.(TYPING);
    const inDialog = document.querySelector("dialog[open]");
    if (inDialog || (typing && !name?.startsWith("Mod+Enter") && name !== "Escape")) return;
    if (event.target.matches?.("canvas") && this.onCanvas(event)) {
      event.preventDefault();
      return;
    }
    if (!command) return;
    if (!this.letters && event.key.length === 1 && !name.startsWith("Mod+")) return;
    // Space and Enter on a button press it; arrows and Home in a slider move it.
    if (name === " " && event.target.closest?.("button, summary, input, a")) return;
    if ((name === "Home" || name === "End") && event.target.matches?.("input")) return;
    event.preventDefault();
    if (event.repeat && (command.hold || ONCE.includes(command.name))) return;
    if (command.hold) this.held.add(command);
    this.run(command.name, true);
  }

  up(event) {
    for (const command of this.held) {
      if (!command.keys.some((key) => key === event.key.toLowerCase())) continue;
      this.held.delete(command);
      this.run(command.name, false);
    }
  }

  letGo() {
    for (const command of this.held) this.run(command.name, false);
    this.held.clear();
  }
}
