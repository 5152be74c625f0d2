/**
 * On narrow screens the worklist and the side panel are drawers over the viewer.
 */

import { byId } from "./dom.js";

const TOGGLES = { "list-open": byId("list-toggle"), "side-open": byId("side-toggle") };

/** @typedef {keyof typeof TOGGLES} Drawer */

/** @param {Drawer} name @param {boolean} open */
function setDrawer(name, open) {
  document.body.classList.toggle(name, open);
  TOGGLES[name].setAttribute("aria-expanded", String(open));
}

/** @param {Drawer} name */
export function openDrawer(name) {
  setDrawer(name, true);
}

export function closeDrawers() {
  for (const name of Object.keys(TOGGLES)) setDrawer(/** @type {Drawer} */ (name), false);
}

export function connectDrawers() {
  for (const [name, button] of Object.entries(TOGGLES)) {
    const drawer = /** @type {Drawer} */ (name);
    button.addEventListener("click", () => setDrawer(drawer, !document.body.classList.contains(name)));
  }
  byId("stage").addEventListener("pointerdown", closeDrawers);
}
