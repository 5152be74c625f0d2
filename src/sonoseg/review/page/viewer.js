/**
 * The viewer: two views, the tools that work in them, and the edits of the mask with their undo steps. It does not
 * talk to the server.
 */

import { CanvasView } from "./canvas_view.js";
import { FULL_WINDOW } from "./colour_maps.js";
import { Emitter } from "./events.js";
import { Mask } from "./mask.js";
import { Brush } from "./tools/brush.js";
import { CalliperTool } from "./tools/calliper.js";
import { Click } from "./tools/click.js";
import { Pan } from "./tools/pan.js";
import { Polygon } from "./tools/polygon.js";
import { WindowLevel } from "./tools/window_level.js";

const BRUSH_SIZES = [1, 120]; // diameters in image columns

/** Whether a content of the second view is a map. @param {string} content */
const isMap = (content) => /^(probability|attention)/.test(content);

/** @typedef {"pan" | "window" | "calliper" | "click" | "brush" | "eraser" | "polygon"} ToolName */

/**
 * Emits "edit" (the tool's name) after each change of the mask, "changing" during it; "click" (ClickPoint[]) where
 * the server is to segment; "callipers" ({done}), "window" and "brush-size" where those changed; "locked" where an
 * edit was tried that is not allowed.
 */
export class Viewer extends Emitter {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLCanvasElement} second
   */
  constructor(canvas, second) {
    super();
    this.main = new CanvasView(canvas);
    this.second = new CanvasView(second);
    this.isSplit = false; // whether the second view is shown
    this.secondContent = "image"; // "image", "model", "probability", "attention/1" ..., "pinned"
    /** @type {import("./image.js").ReviewImage | null} */
    this.image = null;
    /** @type {import("./image.js").ReviewImage | null} in the second view */
    this.pinned = null;
    this.isEditable = false;
    this.brushSize = 14;
    /** @type {Point | null} the pointer in the image */
    this.pointer = null;
    /** @type {Point | null} the keyboard's cursor in the image */
    this.cursor = null;
    this.isHolding = false; // Enter holds the tool down at the cursor
    this.areOverlaysHidden = false; // while a key is held
    this.isGrabbing = false; // while Space is held
    this.shows = { contour: true, uncertainty: true, sizes: true };
    /** @type {string | null} the map over the image: "probability", "attention/1" ... */
    this.overlay = null;
    /** @type {Record<"overlay" | "uncertainty" | "second", HTMLCanvasElement | null>} */
    this.maps = { overlay: null, uncertainty: null, second: null };
    /** @type {Mask | null} saved by another reader or tab, while the reader decides */
    this.theirs = null;
    /** @type {Mask | null} the mask before the unfinished edit */
    this.beforeEdit = null;
    this.tools = {
      pan: new Pan(this),
      window: new WindowLevel(this),
      calliper: new CalliperTool(this),
      click: new Click(this),
      brush: new Brush(this, "brush"),
      eraser: new Brush(this, "eraser"),
      polygon: new Polygon(this),
    };
    /** @type {ToolName} */
    this.toolName = "pan";
  }

  /** @returns {import("./tools/tool.js").Tool} */
  get tool() {
    return this.tools[this.toolName];
  }

  /** The open image. @throws {Error} where none is open */
  get openImage() {
    if (!this.image) throw new Error("no image is open");
    return this.image;
  }

  get isEditing() {
    return this.beforeEdit !== null;
  }

  /** Show another image. @param {import("./image.js").ReviewImage} image */
  async show(image) {
    this.tool.cancel();
    this.tools.click.points = [];
    this.image = image;
    this.cursor = null;
    this.isHolding = false;
    this.theirs = null;
    this.beforeEdit = null;
    this.maps = { overlay: null, uncertainty: null, second: null };
    this.main.show(image);
    await this.refresh();
  }

  /** @param {ToolName} name */
  setTool(name) {
    this.tool.cancel();
    if (name !== "click") this.tools.click.points = [];
    this.toolName = name;
    this.isHolding = false;
    for (const view of [this.main, this.second]) view.canvas.dataset.tool = name;
    this.requestDraw();
  }

  /** @param {number} size in image columns */
  setBrushSize(size) {
    this.brushSize = Math.min(BRUSH_SIZES[1], Math.max(BRUSH_SIZES[0], Math.round(size)));
    this.emit("brush-size");
    this.requestDraw();
  }

  /** Change the brush size by about a sixth. @param {1 | -1} direction */
  stepBrushSize(direction) {
    this.setBrushSize(this.brushSize + direction * Math.max(1, Math.round(this.brushSize / 6)));
  }

  /** @param {GreyWindow} window */
  setWindow(window) {
    this.image?.setWindow({ ...window });
    this.emit("window");
    this.requestDraw();
  }

  resetWindow() {
    this.setWindow(FULL_WINDOW);
  }

  // What is shown

  /** Read the maps that are switched on, then draw. */
  async refresh() {
    const { image } = this;
    this.requestDraw();
    if (!image) return;
    const [overlay, uncertainty, second] = await Promise.all([
      this.overlay ? image.map(this.overlay) : null,
      this.shows.uncertainty && image.model ? image.map("uncertainty") : null,
      this.isSplit && isMap(this.secondContent) ? image.map(this.secondContent) : null,
    ]);
    if (image !== this.image) return;
    this.maps = { overlay, uncertainty, second };
    this.requestDraw();
  }

  /** Switch the second view on or off. @param {boolean} on */
  setSplit(on, content = this.secondContent) {
    this.isSplit = on;
    this.secondContent = content;
    return this.refresh();
  }

  requestDraw() {
    const { image, main } = this;
    const visible = !this.areOverlaysHidden;
    const { contour, uncertainty, sizes } = this.shows;
    main.layers = image ? {
      map: visible ? this.maps.overlay : null,
      uncertainty: visible && uncertainty ? this.maps.uncertainty : null,
      mask: visible && contour ? image.mask : null,
      theirs: visible ? this.theirs : null,
      sizes: visible && sizes && !this.isEditing ? image.findings : null,
      callipers: visible ? image.callipers : [],
      tool: (context, viewport) => this.tool.draw(context, viewport),
      cursor: this.cursor,
    } : {};
    main.requestDraw();
    if (this.isSplit) this.requestSecondDraw(visible);
  }

  /** @param {boolean} visible whether overlays are */
  requestSecondDraw(visible) {
    const { second, secondContent: content } = this;
    const isPinned = content === "pinned";
    const image = isPinned ? this.pinned : this.image;
    if (second.image !== image) second.show(image);
    if (image && image === this.image) this.syncSecond();
    second.layers = image ? {
      map: isMap(content) ? this.maps.second : null,
      mask: isPinned && visible ? image.mask : null,
      model: content === "model" && visible ? image.model : null,
      sizes: isPinned && visible && this.shows.sizes ? image.findings : null,
      callipers: visible ? image.callipers : [],
    } : {};
    second.requestDraw();
  }

  /** Two views of one image show the same part of it. */
  syncSecond() {
    const { scale, aspect, image, centre } = this.main.viewport;
    Object.assign(this.second.viewport, { scale, aspect, image, canvas: this.second.size });
    this.second.viewport.centreOn(centre);
  }

  /** @param {number} factor */
  zoom(factor) {
    const { viewport } = this.main;
    const focus = this.cursor ?? this.pointer ?? viewport.centre;
    viewport.zoom(factor, viewport.toScreen(focus));
    this.requestDraw();
  }

  fit() {
    this.main.viewport.fit();
    if (this.second.image) this.second.viewport.fit();
    this.requestDraw();
  }

  // Edits of the mask

  /** Begin an edit: note the mask to return to. */
  beginEdit() {
    this.beforeEdit = this.openImage.mask.copy();
  }

  /** The mask changed during an edit. */
  maskChanging() {
    this.openImage.version += 1;
    this.requestDraw();
    this.emit("changing");
  }

  /** Finish the edit. @param {EditTool} tool @returns {boolean} whether it changed the mask */
  commitEdit(tool) {
    const { openImage: image, beforeEdit } = this;
    this.beforeEdit = null;
    image.version += 1;
    const changed = beforeEdit !== null && image.history.record(beforeEdit, image.mask);
    if (tool !== "click") this.tools.click.points = [];
    this.requestDraw();
    if (changed) this.emit("edit", tool);
    return changed;
  }

  cancelEdit() {
    if (this.beforeEdit) this.openImage.mask.assign(this.beforeEdit);
    this.beforeEdit = null;
    this.maskChanging();
  }

  /** Replace the mask, as a step that can be undone. @param {Mask} mask @param {EditTool} tool */
  replaceMask(mask, tool) {
    this.beginEdit();
    this.openImage.mask.assign(mask);
    return this.commitEdit(tool);
  }

  clearMask() {
    this.replaceMask(new Mask(this.openImage.width, this.openImage.height), "clear");
  }

  /** @param {number} row @param {number} column a pixel of the lesion */
  deleteLesion(row, column) {
    this.beginEdit();
    this.openImage.mask.removeLesion(row, column);
    this.commitEdit("delete");
  }

  /** Cancel the unfinished edit, or undo the last one; or redo. @param {"undo" | "redo"} which */
  step(which) {
    const { openImage: image } = this;
    if (this.tool.cancel() || !image.history[which](image.mask)) return;
    this.tools.click.points = [];
    image.version += 1;
    this.requestDraw();
    this.emit("edit", which);
  }

  /** @param {Calliper} calliper */
  removeCalliper(calliper) {
    const { openImage: image } = this;
    image.callipers = image.callipers.filter((one) => one !== calliper);
  }

  /** @param {{done: boolean}} [state] done: no drag is under way */
  callipersChanged(state = { done: true }) {
    this.requestDraw();
    this.emit("callipers", state);
  }
}
