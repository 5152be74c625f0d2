/**
 * The viewer: two views of pictures, the tools that work in them, and the pointer, wheel, fingers and keys that
 * move them. It changes masks and says so (events); it does not talk to the server.
 *
 * Events: "edit" {tool}: the mask changed for good. "live": it is changing. "window": greys changed.
 * "measured": callipers changed. "locked": an edit was tried where none is allowed. "click-asked" {points}.
 * "size": the brush has another size.
 */

import { Mask } from "./mask.js";
import { pinch } from "./geometry.js";
import { PLAIN } from "./shades.js";
import { Brush } from "./tools/brush.js";
import { Calliper } from "./tools/calliper.js";
import { Click } from "./tools/click.js";
import { Hand } from "./tools/hand.js";
import { Polygon } from "./tools/polygon.js";
import { Window } from "./tools/window.js";
import { View } from "./view.js";

const WHEEL = 0.0016; // of the zoom's logarithm for each pixel that a wheel reports
const SIZES = [1, 120]; // brush diameters in picture columns

export class Viewer extends EventTarget {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLCanvasElement} beside
   */
  constructor(canvas, beside) {
    super();
    this.main = new View(canvas);
    this.beside = new View(beside);
    this.besideOn = false;
    this.picture = null;
    this.pinned = null; // another picture in the second view
    this.editable = false;
    this.brushSize = 14;
    this.pointer = null; // where the pointer is, in picture coordinates
    this.cross = null; // where the keyboard is
    this.holding = false; // Enter has taken hold
    this.hidden = false; // the contour, while a key is held
    this.grab = false; // Space is held
    this.on = { outline: true, doubt: true, sizes: true };
    this.overlay = null; // the map over the picture: null, "probability", "attention/1" ...
    this.theirs = null; // what another tab or reader saved, while the reader decides
    this.fingers = new Map();
    this.before = null;
    this.tools = {
      hand: new Hand(this),
      window: new Window(this),
      calliper: new Calliper(this),
      click: new Click(this),
      brush: new Brush(this, "brush"),
      eraser: new Brush(this, "eraser"),
      polygon: new Polygon(this),
    };
    this.toolName = "hand";
    for (const view of [this.main, this.beside]) this.listen(view);
  }

  get tool() {
    return this.tools[this.toolName];
  }

  /** Show another picture, or null for none. */
  async show(picture) {
    this.tool.cancel();
    this.tools.click.points = [];
    this.picture = picture;
    this.cross = null;
    this.holding = false;
    this.theirs = null;
    this.before = null;
    this.main.show(picture);
    await this.refresh();
  }

  setTool(name) {
    if (this.tool.cancel()) this.holding = false;
    if (name !== "click") this.tools.click.points = [];
    this.toolName = name;
    for (const view of [this.main, this.beside]) view.canvas.dataset.tool = name;
    this.ask();
  }

  setBrushSize(size) {
    this.brushSize = Math.min(SIZES[1], Math.max(SIZES[0], Math.round(size)));
    this.dispatchEvent(new Event("size"));
    this.ask();
  }

  /** One step larger or smaller: about a sixth, at least a pixel. */
  stepBrushSize(direction) {
    const step = Math.max(1, Math.round(this.brushSize / 6));
    this.setBrushSize(this.brushSize + direction * step);
  }

  setWindow(window) {
    this.picture?.setWindow(window);
    this.dispatchEvent(new Event("window"));
    this.ask();
  }

  resetWindow() {
    this.setWindow({ ...PLAIN });
  }

  /** Read the maps that are switched on, then draw. */
  async refresh() {
    const { picture } = this;
    this.ask();
    if (!picture) return;
    const [map, doubt] = await Promise.all([
      this.overlay ? picture.map(this.overlay) : null,
      this.on.doubt && picture.model ? picture.map("doubt") : null,
    ]);
    if (picture !== this.picture) return;
    picture.mapShown = map;
    picture.doubtShown = doubt;
    const { content } = this.beside;
    if (this.besideOn && /^(probability|attention)/.test(content)) picture.besideShown = await picture.map(content);
    this.ask();
  }

  /** Switch the second view. `content`: "picture", "model", "probability", "attention/1" ..., "pinned". */
  setBeside(on, content = this.beside.content) {
    this.besideOn = on;
    this.beside.content = content;
    return this.refresh();
  }

  ask() {
    const { picture } = this;
    const seen = !this.hidden;
    const edited = picture?.model && !picture.model.equals(picture.mask);
    this.main.layers = picture && {
      map: seen ? picture.mapShown : null,
      doubt: seen && this.on.doubt ? picture.doubtShown : null,
      mask: seen && this.on.outline ? picture.mask : null,
      model: null,
      theirs: seen ? this.theirs : null,
      sizes: seen && this.on.sizes && !this.before ? picture.findings : null,
      callipers: seen ? picture.callipers : [],
      tool: (context, viewport) => this.tool.draw(context, viewport),
      cross: this.cross,
    };
    this.main.ask();
    if (!this.besideOn) return;
    const { beside } = this;
    const other = beside.content === "pinned" ? this.pinned : picture;
    if (beside.picture !== other) beside.show(other);
    if (other && other === picture) this.follow(this.main, beside);
    const isMap = /^(probability|attention)/.test(beside.content);
    beside.layers = other && {
      map: isMap ? picture.besideShown : null,
      mask: beside.content === "pinned" && seen ? other.mask : null,
      model: beside.content === "model" && seen ? other.model : null,
      sizes: beside.content === "pinned" && seen && this.on.sizes ? other.findings : null,
      callipers: seen ? other.callipers : [],
    };
    beside.edited = edited;
    beside.ask();
  }

  /** Two views of one picture show the same part of it. */
  follow(from, to) {
    const { viewport } = from;
    const other = to.viewport;
    Object.assign(other, { scale: viewport.scale, aspect: viewport.aspect, picture: viewport.picture });
    other.canvas = to.size;
    const { width, height } = viewport.canvas;
    other.centre(viewport.toPicture({ x: width / 2, y: height / 2 }));
  }

  // The mask, for tools

  /** An edit begins: keep the mask to come back to. */
  begin() {
    this.before = this.picture.mask.copy();
  }

  /** The mask is changing. */
  live() {
    this.picture.changed();
    this.ask();
    this.dispatchEvent(new Event("live"));
  }

  /** The edit is done. @returns {boolean} whether anything changed */
  commit(tool) {
    const { picture, before } = this;
    this.before = null;
    picture.changed();
    const changed = picture.history.record(before, picture.mask, tool);
    if (tool !== "click") this.tools.click.points = [];
    this.ask();
    if (changed) this.dispatchEvent(new CustomEvent("edit", { detail: { tool } }));
    return changed;
  }

  /** The edit is given up. */
  takeBack() {
    this.picture.mask.become(this.before);
    this.before = null;
    this.live();
  }

  /** Put another mask in place of the present one, as a step that can be undone. */
  replace(mask, tool) {
    this.begin();
    this.picture.mask.become(mask);
    return this.commit(tool);
  }

  clearMask() {
    return this.replace(new Mask(this.picture.width, this.picture.height), "clear");
  }

  removeLesion(row, column) {
    this.begin();
    this.picture.mask.removeLesion(Math.round(row), Math.round(column));
    return this.commit("delete");
  }

  /** @param {"undo" | "redo"} which */
  step(which) {
    const { picture } = this;
    if (this.tool.cancel()) return null;
    const name = picture.history[which](picture.mask);
    if (!name) return null;
    this.tools.click.points = [];
    picture.changed();
    this.ask();
    this.dispatchEvent(new CustomEvent("edit", { detail: { tool: which } }));
    return name;
  }

  measuring() {
    this.ask();
    this.dispatchEvent(new Event("measured"));
  }

  measured() {
    this.ask();
    this.dispatchEvent(new CustomEvent("measured", { detail: { done: true } }));
  }

  // Pointer, fingers, wheel

  listen(view) {
    const { canvas } = view;
    const on = (name, act, options) => canvas.addEventListener(name, act, options);
    on("pointerdown", (event) => this.pointerDown(view, event));
    on("pointermove", (event) => this.pointerMove(view, event));
    on("pointerup", (event) => this.pointerUp(view, event));
    on("pointercancel", (event) => this.pointerLost(event));
    on("pointerleave", () => {
      this.pointer = null;
      this.ask();
    });
    on("wheel", (event) => this.wheel(view, event), { passive: false });
    on("contextmenu", (event) => event.preventDefault());
  }

  /** A place on the canvas in its CSS pixels. */
  spot(view, event) {
    const box = view.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  how(event, screen) {
    return { alt: event.altKey, shift: event.shiftKey, other: event.button === 2, screen };
  }

  pointerDown(view, event) {
    if (!view.picture) return;
    view.canvas.focus({ preventScroll: true });
    view.canvas.setPointerCapture(event.pointerId);
    const at = this.spot(view, event);
    this.fingers.set(event.pointerId, at);
    this.cross = null;
    if (this.fingers.size === 2) {
      this.tool.cancel(); // the first finger was not meant to draw
      this.working = false;
      this.pinched = pinch(...this.fingers.values());
      return;
    }
    if (this.fingers.size > 2) return;
    this.dragged = at;
    this.moving = this.tool.moves || this.grab || event.button === 1 || view === this.beside;
    if (this.moving) {
      view.canvas.classList.add("grabbing");
      return;
    }
    if (this.tool.edits && !this.editable) {
      this.dispatchEvent(new Event("locked"));
      return;
    }
    if (event.button === 2 && this.toolName !== "click") return;
    this.working = true;
    this.pointer = view.viewport.toPicture(at);
    this.tool.down(this.pointer, this.how(event, at));
    this.ask();
  }

  pointerMove(view, event) {
    if (!view.picture) return;
    const at = this.spot(view, event);
    if (view === this.main) this.pointer = view.viewport.toPicture(at);
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, at);
    if (this.fingers.size === 2 && this.pinched) this.pinch(view);
    else if (this.moving && this.dragged) {
      this.leader(view).viewport.pan(at.x - this.dragged.x, at.y - this.dragged.y);
      this.dragged = at;
    } else if (this.working) {
      // The moves between two frames of the screen count too: a fast hand draws round, not in corners.
      for (const one of event.getCoalescedEvents?.() ?? []) this.workAt(view, one);
      this.workAt(view, event);
    } else {
      this.tool.move(this.pointer ?? view.viewport.toPicture(at), { hover: true });
    }
    this.ask();
  }

  workAt(view, event) {
    const at = this.spot(view, event);
    this.tool.move(view.viewport.toPicture(at), this.how(event, at));
  }

  pointerUp(view, event) {
    this.fingers.delete(event.pointerId);
    if (this.fingers.size) return;
    this.pinched = null;
    this.moving = false;
    this.dragged = null;
    view.canvas.classList.remove("grabbing");
    if (this.working) {
      this.working = false;
      this.tool.up();
    }
    if (event.pointerType !== "mouse") this.pointer = null;
    this.ask();
  }

  pointerLost(event) {
    this.fingers.delete(event.pointerId);
    this.working = false;
    this.moving = false;
    this.pinched = null;
    this.tool.cancel();
  }

  /** The view that moves both: a second view of the same picture follows the first. */
  leader(view) {
    return view === this.beside && view.picture === this.picture ? this.main : view;
  }

  pinch(view) {
    const now = pinch(...this.fingers.values());
    const { viewport } = this.leader(view);
    viewport.zoom(now.apart / Math.max(1, this.pinched.apart), now);
    viewport.pan(now.x - this.pinched.x, now.y - this.pinched.y);
    this.pinched = now;
  }

  wheel(view, event) {
    if (!view.picture) return;
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    // A pinch on a touchpad comes as a wheel with Ctrl, in smaller steps.
    const factor = Math.exp(-pixels * WHEEL * (event.ctrlKey ? 6 : 1));
    this.leader(view).viewport.zoom(factor, this.spot(view, event));
    this.ask();
  }

  zoom(factor) {
    const { viewport } = this.main;
    const middle = this.cross ?? this.pointer;
    const { width, height } = viewport.canvas;
    viewport.zoom(factor, middle ? viewport.toScreen(middle) : { x: width / 2, y: height / 2 });
    this.ask();
  }

  fit() {
    this.main.viewport.fit();
    if (this.beside.picture) this.beside.viewport.fit();
    this.ask();
  }

  // Keyboard on the canvas: a cross that stands for the pointer

  /** @returns {boolean} whether the key was used */
  canvasKey(event) {
    const { picture } = this;
    if (!picture || event.ctrlKey || event.metaKey) return false;
    if (event.key === "Enter") return this.enter(event);
    if (this.tool.key(event.key)) return true;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return false;
    if (this.tool.moves) {
      const step = event.shiftKey ? 120 : 30;
      this.main.viewport.pan(-way[0] * step, -way[1] * step);
    } else {
      this.moveCross(way, event.shiftKey ? 10 : 1);
    }
    this.ask();
    return true;
  }

  moveCross([across, down], times) {
    const { picture, main } = this;
    const step = times * Math.max(1, Math.round(2 / main.viewport.scale));
    const at = this.cross ?? this.middleOfView();
    this.cross = {
      x: Math.min(picture.width - 0.5, Math.max(0.5, at.x + across * step)),
      y: Math.min(picture.height - 0.5, Math.max(0.5, at.y + down * step)),
    };
    this.pointer = this.cross;
    if (!main.viewport.sees(this.cross)) main.viewport.centre(this.cross);
    this.tool.move(this.cross, { hover: !this.holding });
  }

  middleOfView() {
    const { viewport } = this.main;
    const { x, y } = viewport.toPicture({ x: viewport.canvas.width / 2, y: viewport.canvas.height / 2 });
    return { x: Math.floor(x) + 0.5, y: Math.floor(y) + 0.5 };
  }

  enter(event) {
    if (this.tool.moves || event.repeat) return false;
    if (this.tool.edits && !this.editable) {
      this.dispatchEvent(new Event("locked"));
      return true;
    }
    this.cross ??= this.middleOfView();
    this.pointer = this.cross;
    const how = { alt: event.altKey, shift: event.shiftKey, screen: this.main.viewport.toScreen(this.cross) };
    if (!this.holding) this.tool.down(this.cross, how);
    if (this.holding || !this.tool.holds) this.tool.up();
    this.holding = this.tool.holds && !this.holding;
    this.ask();
    return true;
  }

  /** Give up what is half done. @returns {boolean} whether there was anything */
  cancel() {
    this.holding = false;
    this.working = false;
    return this.tool.cancel();
  }
}
