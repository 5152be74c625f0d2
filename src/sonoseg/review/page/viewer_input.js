/**
 * Pointer, touch, wheel and keyboard on the two views: panning, zooming, and using the tool.
 */

import { distance } from "./viewport.js";

const WHEEL = 0.0016; // logarithm of the zoom factor for each pixel of the wheel
const WHEEL_PIXELS = [1, 16, 400]; // of a step in pixels, lines and pages (WheelEvent.deltaMode)

/** @type {Record<string, [number, number]>} columns and rows */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @typedef {import("./canvas_view.js").CanvasView} CanvasView */

/** A position on a view's canvas in CSS pixels. @param {CanvasView} view @param {MouseEvent} event @returns {Point} */
function screenPoint(view, event) {
  const box = view.canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** @param {MouseEvent | KeyboardEvent} event @param {Point} screen @returns {Press} */
function pressOf(event, screen) {
  const secondary = event instanceof MouseEvent && event.button === 2;
  return { alt: event.altKey, shift: event.shiftKey, secondary, screen };
}

export class ViewerInput {
  /** @param {import("./viewer.js").Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {Map<number, Point>} the pressed pointers on the canvas, by their id */
    this.pressed = new Map();
    /** @type {{centre: Point, apart: number} | null} the two fingers of a pinch */
    this.pinched = null;
    /** @type {Point | null} the last position of a drag that pans */
    this.panFrom = null;
    this.usesTool = false; // a drag with the tool is under way
    for (const view of [viewer.main, viewer.second]) this.listen(view);
  }

  /** Cancel what is unfinished. @returns {boolean} whether there was anything */
  cancel() {
    this.viewer.isHolding = false;
    this.usesTool = false;
    return this.viewer.tool.cancel();
  }

  /** @param {CanvasView} view */
  listen(view) {
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => view.image && this.pointerDown(view, event));
    canvas.addEventListener("pointermove", (event) => view.image && this.pointerMove(view, event));
    canvas.addEventListener("pointerup", (event) => this.pointerUp(view, event));
    canvas.addEventListener("pointercancel", (event) => {
      this.pressed.delete(event.pointerId);
      this.panFrom = null;
      this.pinched = null;
      this.cancel();
    });
    canvas.addEventListener("pointerleave", () => {
      this.viewer.pointer = null;
      this.viewer.requestDraw();
    });
    canvas.addEventListener("wheel", (event) => view.image && this.wheel(view, event), { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {CanvasView} view @param {PointerEvent} event */
  pointerDown(view, event) {
    const { viewer } = this;
    const { canvas } = view;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const at = screenPoint(view, event);
    this.pressed.set(event.pointerId, at);
    viewer.cursor = null;
    if (viewer.isHolding) this.cancel();
    if (this.pressed.size === 2) {
      this.cancel(); // the first finger began a pinch, not a stroke
      this.pinched = this.fingers();
    }
    if (this.pressed.size > 1) return;
    if (viewer.tool.pans || viewer.isGrabbing || event.button === 1 || view === viewer.second) {
      this.panFrom = at;
      canvas.classList.add("grabbing");
    } else if (event.button !== 2 || viewer.toolName === "click") {
      if (!this.mayUseTool()) return;
      this.usesTool = true;
      viewer.pointer = view.viewport.toImage(at);
      viewer.tool.down(viewer.pointer, pressOf(event, at));
      viewer.requestDraw();
    }
  }

  mayUseTool() {
    const { viewer } = this;
    const allowed = viewer.isEditable || !viewer.tool.edits;
    if (!allowed) viewer.emit("locked");
    return allowed;
  }

  /** @param {CanvasView} view @param {PointerEvent} event */
  pointerMove(view, event) {
    const { viewer } = this;
    const at = screenPoint(view, event);
    if (view === viewer.main) viewer.pointer = view.viewport.toImage(at);
    if (this.pressed.has(event.pointerId)) this.pressed.set(event.pointerId, at);
    if (this.pressed.size === 2 && this.pinched) this.pinch(view);
    else if (this.panFrom) {
      this.leader(view).viewport.pan(at.x - this.panFrom.x, at.y - this.panFrom.y);
      this.panFrom = at;
    } else if (this.usesTool) {
      // With the moves between two frames of the screen, a fast stroke is smooth.
      for (const one of [...(event.getCoalescedEvents?.() ?? []), event]) {
        const screen = screenPoint(view, one);
        viewer.tool.move(view.viewport.toImage(screen), pressOf(one, screen));
      }
    } else {
      viewer.tool.move(view.viewport.toImage(at));
    }
    viewer.requestDraw();
  }

  /** @param {CanvasView} view @param {PointerEvent} event */
  pointerUp(view, event) {
    this.pressed.delete(event.pointerId);
    if (this.pressed.size) return;
    this.pinched = null;
    this.panFrom = null;
    view.canvas.classList.remove("grabbing");
    if (this.usesTool) {
      this.usesTool = false;
      this.viewer.tool.up();
    }
    if (event.pointerType !== "mouse") this.viewer.pointer = null;
    this.viewer.requestDraw();
  }

  /** The view that moves both: a second view of the same image follows the main one. @param {CanvasView} view */
  leader(view) {
    const { main, second, image } = this.viewer;
    return view === second && view.image === image ? main : view;
  }

  /** The centre and distance of two fingers. */
  fingers() {
    const [a, b] = this.pressed.values();
    return { centre: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 }, apart: distance(a, b) };
  }

  /** @param {CanvasView} view */
  pinch(view) {
    if (!this.pinched) return;
    const { centre, apart } = this.fingers();
    const { viewport } = this.leader(view);
    viewport.zoom(apart / Math.max(1, this.pinched.apart), centre);
    viewport.pan(centre.x - this.pinched.centre.x, centre.y - this.pinched.centre.y);
    this.pinched = { centre, apart };
  }

  /** @param {CanvasView} view @param {WheelEvent} event */
  wheel(view, event) {
    event.preventDefault();
    const pixels = event.deltaY * WHEEL_PIXELS[event.deltaMode];
    // A pinch on a touchpad is a wheel with Ctrl, in smaller steps.
    const factor = Math.exp(-pixels * WHEEL * (event.ctrlKey ? 6 : 1));
    this.leader(view).viewport.zoom(factor, screenPoint(view, event));
    this.viewer.requestDraw();
  }

  // Keyboard: a cursor in place of the pointer

  /** Handle a key on a canvas. @param {KeyboardEvent} event @returns {boolean} whether it was used */
  key(event) {
    const { viewer } = this;
    if (!viewer.image || event.ctrlKey || event.metaKey) return false;
    if (event.key === "Enter") return this.enter(event);
    if (viewer.tool.key(event.key)) return true;
    const [across, down] = ARROWS[event.key] ?? [0, 0];
    if (!across && !down) return false;
    if (viewer.tool.pans) {
      const step = event.shiftKey ? 120 : 30;
      viewer.main.viewport.pan(-across * step, -down * step);
    } else {
      this.moveCursor(across, down, event.shiftKey ? 10 : 1);
    }
    viewer.requestDraw();
    return true;
  }

  /** @param {number} across @param {number} down @param {number} times */
  moveCursor(across, down, times) {
    const { viewer } = this;
    const { viewport } = viewer.main;
    const { width, height } = viewer.openImage;
    const step = times * Math.max(1, Math.round(2 / viewport.scale));
    const { x, y } = viewer.cursor ?? this.centrePixel();
    const cursor = {
      x: Math.min(width - 0.5, Math.max(0.5, x + across * step)),
      y: Math.min(height - 0.5, Math.max(0.5, y + down * step)),
    };
    viewer.cursor = cursor;
    viewer.pointer = cursor;
    if (!viewport.shows(cursor)) viewport.centreOn(cursor);
    viewer.tool.move(cursor, viewer.isHolding ? this.cursorPress(cursor) : undefined);
  }

  /** The centre of the pixel in the middle of the view. */
  centrePixel() {
    const { x, y } = this.viewer.main.viewport.centre;
    return { x: Math.floor(x) + 0.5, y: Math.floor(y) + 0.5 };
  }

  /** @param {Point} cursor @returns {Press} */
  cursorPress(cursor) {
    return { alt: false, shift: false, secondary: false, screen: this.viewer.main.viewport.toScreen(cursor) };
  }

  /** Enter presses the tool at the cursor, and releases it. @param {KeyboardEvent} event @returns {boolean} */
  enter(event) {
    const { viewer } = this;
    const { tool } = viewer;
    if (tool.pans || event.repeat) return false;
    if (!this.mayUseTool()) return true;
    viewer.cursor ??= this.centrePixel();
    viewer.pointer = viewer.cursor;
    if (!viewer.isHolding) tool.down(viewer.cursor, pressOf(event, viewer.main.viewport.toScreen(viewer.cursor)));
    if (viewer.isHolding || !tool.holds) tool.up();
    viewer.isHolding = tool.holds && !viewer.isHolding;
    viewer.requestDraw();
    return true;
  }
}
