/**
 * Keyboard shortcuts: from key events to the commands of commands.js.
 */

import { COMMANDS, SINGLE } from "./commands.js";
import { storage } from "./storage.js";

const TEXT_FIELDS = "input:not([type=radio], [type=checkbox], [type=range]), textarea, select";

/**
 * The name of a key event in the table of commands; null for Alt with a key.
 * @param {Partial<KeyboardEvent> & {key: string}} event
 */
export function keyName({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (altKey) return null;
  const letter = /^[a-z]$/i.test(key);
  // Signs include their Shift: "?" needs it on many keyboards, on others not.
  const shift = shiftKey && (letter || key.length > 1) ? "Shift+" : "";
  const mod = ctrlKey || metaKey ? "Mod+" : "";
  return `${mod}${shift}${letter ? (shiftKey ? key.toUpperCase() : key.toLowerCase()) : key}`;
}

/** A key as the help shows it. @param {string} key */
export function formatKey(key) {
  /** @type {Record<string, string>} */
  const names = { " ": "Space", Escape: "Esc", Mod: /Mac|iPad|iPhone/.test(navigator.platform) ? "⌘" : "Ctrl" };
  const format = (/** @type {string} */ part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part);
  return key.split(/\+(?=.)/).map(format).join("+");
}

export class Keyboard {
  /**
   * @param {(name: string, down: boolean) => unknown} run runs a command; a `hold` one again with `down` false
   * @param {(event: KeyboardEvent) => boolean} onCanvas handles a key on the image first; whether it did
   */
  constructor(run, onCanvas) {
    this.run = run;
    this.onCanvas = onCanvas;
    /** @type {Set<import("./commands.js").Command>} */
    this.held = new Set();
    this.letters = storage.get("letters") !== "off";
    this.byKey = new Map(COMMANDS.flatMap((command) => command.keys.map((key) => [key, command])));
    addEventListener("keydown", (event) => this.keyDown(event));
    addEventListener("keyup", (event) => this.keyUp(event));
    addEventListener("blur", () => this.releaseAll());
  }

  /** Switch shortcuts of single letters on or off (WCAG 2.1.4), for speech input. @param {boolean} on */
  setLetters(on) {
    this.letters = on;
    storage.set("letters", on ? "on" : "off");
  }

  /** @param {KeyboardEvent} event */
  keyDown(event) {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const name = keyName(event);
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TEXT_FIELDS) && name !== "Mod+Enter" && name !== "Escape") return;
    if (target.matches("canvas") && this.onCanvas(event)) {
      event.preventDefault();
      return;
    }
    const command = this.byKey.get(name ?? "");
    if (!command) return;
    if (!this.letters && event.key.length === 1 && !name?.startsWith("Mod+")) return;
    // Space presses a focused button; Home and End move a slider.
    if (name === " " && target.closest("button, summary, input, a")) return;
    if ((name === "Home" || name === "End") && target.matches("input")) return;
    event.preventDefault();
    if (event.repeat && (command.hold || SINGLE.has(command.name))) return;
    if (command.hold) this.held.add(command);
    this.run(command.name, true);
  }

  /** @param {KeyboardEvent} event */
  keyUp(event) {
    for (const command of this.held) {
      if (!command.keys.includes(event.key.toLowerCase())) continue;
      this.held.delete(command);
      this.run(command.name, false);
    }
  }

  releaseAll() {
    for (const command of this.held) this.run(command.name, false);
    this.held.clear();
  }
}
