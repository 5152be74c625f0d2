/**
 * Dark or light: as the system says, until the reader says otherwise.
 */

import { kept } from "./dom.js";

const light = matchMedia("(prefers-color-scheme: light)");

function apply() {
  document.documentElement.dataset.theme = kept.get("theme") ?? (light.matches ? "light" : "dark");
}

/** The other one, and keep it. */
export function switchTheme() {
  kept.set("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  apply();
}

light.addEventListener("change", apply);
apply();
