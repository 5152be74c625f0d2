/**
 * Dark or light theme: the system's, until the reader chooses.
 */

import { storage } from "./storage.js";

const light = matchMedia("(prefers-color-scheme: light)");

function apply() {
  document.documentElement.dataset.theme = storage.get("theme") ?? (light.matches ? "light" : "dark");
}

/** Switch to the other theme and store the choice. */
export function switchTheme() {
  storage.set("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  apply();
}

light.addEventListener("change", apply);
apply();
