/**
 * Toolbar: the state of its buttons, the sliders, and the choice of the second view.
 */

import { EDITING_TOOLS } from "./commands.js";
import { FULL_WINDOW } from "./colour_maps.js";
import { announce, byId, make } from "./dom.js";
import { showError } from "./notices.js";
import { storage } from "./storage.js";

export class Toolbar {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./viewer.js").Viewer} viewer
   */
  constructor(session, viewer) {
    this.session = session;
    this.viewer = viewer;
    /** @type {NodeListOf<HTMLButtonElement>} */
    this.buttons = document.querySelectorAll("button[data-command]");
    this.connectSliders();
    byId("second-content").addEventListener("change", () => this.setSplit(true, byId("second-content").value));
    for (const event of ["change", "server"]) {
      session.on(event, () => {
        this.showButtons();
        this.showSecondChoice();
      });
    }
  }

  connectSliders() {
    const { viewer } = this;
    const currentWindow = () => viewer.image?.window ?? FULL_WINDOW;
    const [size, width, level] = [byId("brush-size"), byId("window-width"), byId("window-level")];
    size.addEventListener("input", () => viewer.setBrushSize(Number(size.value)));
    width.addEventListener("input", () => viewer.setWindow({ ...currentWindow(), width: Number(width.value) }));
    level.addEventListener("input", () => viewer.setWindow({ ...currentWindow(), level: Number(level.value) }));
    viewer.on("window", () => this.showSliders());
    viewer.on("brush-size", () => {
      storage.set("brush", String(viewer.brushSize));
      this.showSliders();
    });
    this.session.on("open", () => this.showSliders());
    viewer.setBrushSize(Number(storage.get("brush") ?? viewer.brushSize));
  }

  showSliders() {
    const { brushSize, image } = this.viewer;
    const { width, level } = image?.window ?? FULL_WINDOW;
    byId("brush-size").value = String(brushSize);
    byId("brush-size-text").textContent = `${brushSize} px`;
    byId("window-width").value = String(width);
    byId("window-width-text").textContent = String(Math.round(width));
    byId("window-level").value = String(level);
    byId("window-level-text").textContent = String(Math.round(level));
  }

  /** Show which buttons are pressed and which may be used. */
  showButtons() {
    const { viewer, session } = this;
    const { isEditable, image } = session;
    const attention = viewer.overlay?.match(/^attention\/(\d+)/)?.[1];
    /** @type {Record<string, boolean>} */
    const pressed = {
      ...viewer.shows,
      probability: viewer.overlay === "probability",
      attention: attention !== undefined,
      split: viewer.isSplit,
      ...Object.fromEntries(Object.keys(viewer.tools).map((name) => [name, name === viewer.toolName])),
    };
    /** @type {Record<string, boolean>} */
    const enabled = {
      undo: isEditable && Boolean(image?.history.canUndo),
      redo: isEditable && Boolean(image?.history.canRedo),
      restore: isEditable && Boolean(image?.model),
      "no-lesion": isEditable,
    };
    for (const button of this.buttons) {
      const command = button.dataset.command ?? "";
      if (command in pressed) button.setAttribute("aria-pressed", String(pressed[command]));
      if (command in enabled) button.disabled = !enabled[command];
      if (EDITING_TOOLS.includes(command)) button.setAttribute("aria-disabled", String(!isEditable));
    }
    byId("attention").hidden = !session.attentionMaps.length;
    byId("attention").textContent = attention ? `Attention ${attention}` : "Attention";
  }

  showSecondChoice() {
    const { pinned, isSplit, secondContent } = this.viewer;
    const choices = [["image", "image only"], ["model", "model's mask"], ["probability", "probability"]];
    choices.push(...this.session.attentionMaps.map((name, k) => [name, `attention ${k + 1}`]));
    if (pinned) choices.push(["pinned", `pinned: ${pinned.item.name}`]);
    const box = byId("second-content");
    box.replaceChildren(...choices.map(([value, text]) => make("option", { value, text })));
    box.value = secondContent;
    byId("pane-second").hidden = !isSplit;
  }

  /** Show a map over the image. @param {string | null} name */
  async setOverlay(name) {
    const { viewer } = this;
    viewer.overlay = name;
    try {
      await viewer.refresh();
      if (name && viewer.image && !viewer.maps.overlay) announce("This image has no such map");
    } catch (error) {
      viewer.overlay = null;
      showError(error, "overlay");
    }
    this.showButtons();
  }

  /** Show the next attention map, or none after the last. */
  nextAttention() {
    const { attentionMaps } = this.session;
    return this.setOverlay(attentionMaps[attentionMaps.indexOf(this.viewer.overlay ?? "") + 1] ?? null);
  }

  /** @param {boolean} on @param {string} [content] */
  async setSplit(on, content) {
    byId("pane-second").hidden = !on;
    await this.viewer.setSplit(on, content).catch((error) => showError(error, "overlay"));
    this.showSecondChoice();
  }

  /** Pin the open image in the second view. */
  pin() {
    this.viewer.pinned = this.viewer.openImage;
    return this.setSplit(true, "pinned");
  }
}
