/**
 * What the commands of commands.js do.
 */

import { EDITING_TOOLS } from "./commands.js";
import { announce, byId } from "./dom.js";
import { closeDrawers, openDrawer } from "./drawers.js";
import { switchTheme } from "./theme.js";

/** @typedef {import("./viewer.js").ToolName} ToolName */

/**
 * @param {Omit<Parts, "saver" | "review" | "findings" | "prediction">} parts
 * @returns {Record<string, (down: boolean) => unknown>} by the command's name; `down` is false where a `hold` ends
 */
export function makeActions({ session, viewer, input, worklist, loader, clip, editing, signing, toolbar }) {
  /** An action on the open image. */
  const onImage = (/** @type {() => unknown} */ act) => () => session.image && act();
  /** An action that edits the open image. */
  const onEditable = (/** @type {() => unknown} */ act) =>
    onImage(() => (session.isEditable ? act() : editing.showLocked()));
  const toggle = (/** @type {keyof typeof viewer.shows} */ name) => () => {
    viewer.shows[name] = !viewer.shows[name];
    viewer.refresh();
  };
  const setTool = (/** @type {ToolName} */ name) => () => {
    viewer.setTool(name);
    announce(byId("tools").querySelector(`[data-command="${name}"]`)?.getAttribute("aria-label") ?? "");
  };
  const toolActions = /** @type {ToolName[]} */ (Object.keys(viewer.tools)).map((name) => {
    const mayEdit = () => !EDITING_TOOLS.includes(name) || !session.image || session.isEditable;
    return [name, () => (mayEdit() ? setTool(name)() : editing.showLocked())];
  });
  return {
    ...Object.fromEntries(toolActions),
    next: () => loader.open(worklist.neighbour(session.image?.id, 1)),
    previous: () => loader.open(worklist.neighbour(session.image?.id, -1)),
    "next-to-do": () => loader.open(worklist.nextUnfinished(session.image?.id)),
    search: () => {
      openDrawer("list-open");
      byId("search").focus();
    },
    add: () => session.server.read_only || byId("files").click(),
    export: () => byId("export").showModal(),
    sign: () => signing.submit("sign"),
    refer: () => signing.submit("refer"),
    reopen: () => signing.submit("reopen"),
    reader: () => byId("reader").select(),
    describe: () => {
      openDrawer("side-open");
      byId("descriptors").querySelector("input")?.focus();
    },
    comment: () => {
      openDrawer("side-open");
      byId("comment").focus();
    },
    smaller: () => viewer.stepBrushSize(-1),
    larger: () => viewer.stepBrushSize(1),
    undo: onEditable(() => viewer.step("undo")),
    redo: onEditable(() => viewer.step("redo")),
    "delete-lesion": onEditable(() => editing.deleteAtPointer()),
    "no-lesion": onEditable(() => viewer.clearMask()),
    restore: onEditable(() => viewer.openImage.model && viewer.replaceMask(viewer.openImage.model, "model")),
    hide: (down) => {
      viewer.areOverlaysHidden = down;
      viewer.requestDraw();
    },
    grab: (down) => {
      viewer.isGrabbing = down;
    },
    contour: toggle("contour"),
    uncertainty: toggle("uncertainty"),
    sizes: toggle("sizes"),
    probability: () => toolbar.setOverlay(viewer.overlay === "probability" ? null : "probability"),
    attention: () => toolbar.nextAttention(),
    split: () => toolbar.setSplit(!viewer.isSplit),
    pin: onImage(() => toolbar.pin()),
    "zoom-in": () => viewer.zoom(1.25),
    "zoom-out": () => viewer.zoom(0.8),
    fit: () => viewer.fit(),
    "one-to-one": () => {
      viewer.main.viewport.zoomTo(1);
      viewer.requestDraw();
    },
    "window-reset": () => viewer.resetWindow(),
    "frame-back": () => clip.step(-1),
    "frame-on": () => clip.step(1),
    "frames-back": () => clip.step(-10),
    "frames-on": () => clip.step(10),
    "frame-first": () => clip.open(0),
    "frame-last": () => clip.open(Infinity),
    image: () => byId("canvas").focus(),
    help: () => byId("help").showModal(),
    theme: () => switchTheme(),
    cancel: () => {
      const { activeElement } = document;
      if (!input.cancel() && activeElement instanceof HTMLElement) activeElement.blur();
      closeDrawers();
      viewer.requestDraw();
    },
  };
}
