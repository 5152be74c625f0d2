/**
 * A canvas that shows an image with its overlays. It draws only: tools and server are others' business.
 */

import { smoothBorder, traceBorders } from "./contour.js";
import { cross, drawLabel, pathThrough, strokePath } from "./drawing.js";
import { formatLength, formatSize } from "./format.js";
import { measureLength, Viewport } from "./viewport.js";

const MASK = "#ffb000";
const MODEL = "#e5e9ee";
const THEIRS = "#ff7ad9";
const CALLIPER = "#5fd7ff";
const CURSOR = "#7dff9a";
const PIXEL_EDGES = 5; // screen pixels per image pixel from which the contour follows the pixel edges

/**
 * The overlays; what is missing or null is not drawn.
 * @typedef {object} Layers
 * @property {HTMLCanvasElement | null} [map]
 * @property {HTMLCanvasElement | null} [uncertainty]
 * @property {import("./mask.js").Mask | null} [mask]
 * @property {import("./mask.js").Mask | null} [model]
 * @property {import("./mask.js").Mask | null} [theirs] saved by another reader or tab
 * @property {Lesion[] | null} [sizes]
 * @property {Calliper[]} [callipers]
 * @property {(context: CanvasRenderingContext2D, viewport: Viewport) => void} [tool]
 * @property {Point | null} [cursor] of the keyboard
 */

export class CanvasView {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    this.viewport = new Viewport();
    /** @type {import("./image.js").ReviewImage | null} */
    this.image = null;
    /** @type {Map<string, {path: Path2D, mask: object, version: number, exact: boolean}>} */
    this.contours = new Map();
    this.frame = 0; // the requested animation frame
    /** @type {Layers} */
    this.layers = {};
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  /** In CSS pixels. @returns {Size} */
  get size() {
    return { width: this.canvas.clientWidth || 1, height: this.canvas.clientHeight || 1 };
  }

  resize() {
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * density));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * density));
    this.viewport.resize(this.size);
    this.draw();
  }

  /**
   * Show an image. Frames of one clip keep zoom and position.
   * @param {import("./image.js").ReviewImage | null} image
   */
  show(image) {
    const before = this.image;
    const isSame = image?.width === before?.width && image?.height === before?.height
      && image?.aspect === before?.aspect && image?.item.clip === before?.item.clip;
    this.image = image;
    this.contours.clear();
    if (image && !isSame) this.viewport.set(image, this.size, image.aspect);
    this.requestDraw();
  }

  /** Draw with the next frame of the screen. */
  requestDraw() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { context, canvas, image, viewport, layers } = this;
    const density = canvas.width / this.size.width;
    context.resetTransform();
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!image) return;
    const { scale, x, y, aspect } = viewport;
    context.scale(density, density);
    this.drawImage(image.canvas, scale * density < 3);
    if (layers.map) this.drawImage(layers.map, true);
    if (layers.uncertainty) this.drawImage(layers.uncertainty, false);
    context.save();
    context.translate(x, y);
    context.scale(scale, scale * aspect);
    this.drawContour("model", layers.model, 0, MODEL, [6, 5]);
    this.drawContour("theirs", layers.theirs, 0, THEIRS, [6, 5]);
    this.drawContour("mask", layers.mask, image.version, MASK);
    context.restore();
    for (const lesion of layers.sizes ?? []) this.drawSize(lesion);
    for (const calliper of layers.callipers ?? []) this.drawCalliper(calliper, image.item.spacing);
    layers.tool?.(context, viewport);
    if (layers.cursor) strokePath(context, cross(viewport.toScreen(layers.cursor), 11), CURSOR);
  }

  /** @param {HTMLCanvasElement} canvas of the image's size @param {boolean} smooth */
  drawImage(canvas, smooth) {
    const { context, viewport } = this;
    const { scale, x, y, aspect } = viewport;
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, x, y, canvas.width * scale, canvas.height * scale * aspect);
  }

  /**
   * Draw a mask's contour in image coordinates.
   * @param {string} name
   * @param {import("./mask.js").Mask | null | undefined} mask
   * @param {number} version of the mask
   * @param {string} colour
   * @param {number[]} [dash]
   */
  drawContour(name, mask, version, colour, dash = []) {
    if (!mask) return;
    const exact = this.viewport.scale >= PIXEL_EDGES;
    let contour = this.contours.get(name);
    if (contour?.version !== version || contour.exact !== exact || contour.mask !== mask) {
      contour = { path: contourPath(mask, exact), version, exact, mask };
      this.contours.set(name, contour);
    }
    strokePath(this.context, contour.path, colour, { width: 1.8, pixel: 1 / this.viewport.scale, dash });
  }

  /** Draw a lesion's axes as the server measured them. @param {Lesion} lesion */
  drawSize(lesion) {
    const { context, viewport } = this;
    // Pixel centres are whole numbers in the findings, and halves here.
    const toScreen = (/** @type {[number, number]} */ [row, column]) =>
      viewport.toScreen({ x: column + 0.5, y: row + 0.5 });
    for (const ends of [lesion.longest_axis_ends, lesion.perpendicular_ends]) {
      if (ends) strokePath(context, pathThrough(ends.map(toScreen)), "#fff", { width: 1.1 });
    }
    const end = lesion.longest_axis_ends?.[1];
    if (end) drawLabel(context, `${lesion.lesion}: ${formatSize(lesion)}`, toScreen(end), "#fff", this.size);
  }

  /** @param {Calliper} calliper @param {Spacing | null} spacing */
  drawCalliper({ a, b }, spacing) {
    const { context } = this;
    const ends = [a, b].map((point) => this.viewport.toScreen(point));
    strokePath(context, pathThrough(ends), CALLIPER);
    for (const end of ends) strokePath(context, cross(end, 5), CALLIPER);
    const beside = { x: Math.max(ends[0].x, ends[1].x), y: (ends[0].y + ends[1].y) / 2 };
    drawLabel(context, formatLength(measureLength(a, b, spacing)), beside, CALLIPER, this.size);
  }
}

/** @param {import("./mask.js").Mask} mask @param {boolean} exact whether it follows the pixel edges */
function contourPath(mask, exact) {
  const path = new Path2D();
  for (const border of traceBorders(mask)) {
    const points = exact ? border : smoothBorder(border);
    path.moveTo(points[0], points[1]);
    for (let k = 2; k < points.length; k += 2) path.lineTo(points[k], points[k + 1]);
    path.closePath();
  }
  return path;
}
