/**
 * One canvas that shows a picture with what is laid over it. Draws, and knows nothing of tools or the server.
 */

import { rings, softened } from "./contour.js";
import { length, sayLength, Viewport } from "./geometry.js";

const LESION = "#ffb000";
const HALO = "rgb(0 0 0 / .6)";
const MODEL = "#e5e9ee";
const THEIRS = "#ff7ad9";
const CALLIPER = "#5fd7ff";
const CROSS = "#7dff9a";
const STAIRS = 5; // screen pixels per picture pixel from which the contour follows each pixel

export class View {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.viewport = new Viewport();
    this.picture = null;
    this.content = "picture"; // what a second view shows of the same picture
    this.outlines = new Map();
    this.asked = 0;
    this.layers = {}; // set by the viewer: outline, doubt, sizes, map, theirs, cross, tool
    new ResizeObserver(() => this.resized()).observe(canvas);
  }

  get size() {
    return { width: this.canvas.clientWidth || 1, height: this.canvas.clientHeight || 1 };
  }

  resized() {
    const sharpness = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * sharpness));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * sharpness));
    this.viewport.resize(this.size);
    this.draw();
  }

  /** Show a picture; the view stays where it is if the new one has the same grid. */
  show(picture) {
    const same = picture && this.picture && picture.width === this.picture.width
      && picture.height === this.picture.height && picture.aspect === this.picture.aspect
      && picture.item.clip === this.picture.item.clip;
    this.picture = picture;
    this.outlines.clear();
    if (picture && !same) this.viewport.set(picture, this.size, picture.aspect);
    this.ask();
  }

  /** Draw with the next frame of the screen, once however often it is asked for. */
  ask() {
    this.asked ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.asked);
    this.asked = 0;
    const { context, canvas, picture, viewport } = this;
    const sharpness = canvas.width / this.size.width;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!picture) return;
    const { scale, x, y, aspect } = viewport;
    context.setTransform(sharpness, 0, 0, sharpness, 0, 0);
    this.drawOnGrid(picture.shown, scale * sharpness < 3);
    const { layers } = this;
    if (layers.map) this.drawOnGrid(layers.map, true);
    if (layers.doubt) this.drawOnGrid(layers.doubt, false);
    context.save();
    context.translate(x, y);
    context.scale(scale, scale * aspect);
    if (layers.model) this.strokeMask("model", layers.model, 0, MODEL, true);
    if (layers.theirs) this.strokeMask("theirs", layers.theirs, 0, THEIRS, true);
    if (layers.mask) this.strokeMask("mask", layers.mask, picture.version, LESION, false);
    context.restore();
    if (layers.sizes) this.drawSizes(layers.sizes);
    for (const calliper of layers.callipers ?? []) this.drawCalliper(calliper);
    layers.tool?.(context, viewport);
    if (layers.cross) this.drawCross(viewport.toScreen(layers.cross));
  }

  drawOnGrid(canvas, smooth) {
    const { context, viewport, picture } = this;
    const { scale, x, y, aspect } = viewport;
    context.imageSmoothingEnabled = smooth;
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, x, y, picture.width * scale, picture.height * scale * aspect);
  }

  /** The mask's border as a path in picture coordinates, made again only when the mask or the look changed. */
  outline(name, mask, version) {
    const stairs = this.viewport.scale >= STAIRS;
    const known = this.outlines.get(name);
    if (known?.version === version && known.stairs === stairs && known.mask === mask) return known.path;
    const path = new Path2D();
    for (const ring of rings(mask)) {
      const points = stairs ? ring : softened(ring);
      path.moveTo(points[0], points[1]);
      for (let k = 2; k < points.length; k += 2) path.lineTo(points[k], points[k + 1]);
      path.closePath();
    }
    this.outlines.set(name, { path, version, stairs, mask });
    return path;
  }

  strokeMask(name, mask, version, colour, dashed) {
    const { context } = this;
    const path = this.outline(name, mask, version);
    const pixel = 1 / this.viewport.scale;
    context.lineJoin = "round";
    context.strokeStyle = HALO;
    context.lineWidth = 3.6 * pixel;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = 1.8 * pixel;
    context.setLineDash(dashed ? [6 * pixel, 5 * pixel] : []);
    context.stroke(path);
    context.setLineDash([]);
  }

  /** The axes of the lesions as the server measured them; its places have pixel middles at whole numbers. */
  drawSizes(findings) {
    for (const lesion of findings) {
      const axes = [[lesion.longest_axis_ends, lesion.longest_axis], [lesion.perpendicular_ends, lesion.perpendicular]];
      for (const [ends] of axes) {
        if (ends) this.line(ends.map(([row, column]) => ({ x: column + 0.5, y: row + 0.5 })), "#fff", 1.1);
      }
      const end = lesion.longest_axis_ends?.[1];
      if (!end) continue;
      const values = axes.map(([, value]) => (lesion.unit === "mm" ? value.toFixed(1) : Math.round(value)));
      const at = this.viewport.toScreen({ x: end[1] + 0.5, y: end[0] + 0.5 });
      this.label(`${lesion.lesion}: ${values.join(" × ")} ${lesion.unit}`, at, "#fff");
    }
  }

  drawCalliper({ a, b }) {
    const ends = [a, b].map((place) => this.viewport.toScreen(place));
    this.line([a, b], CALLIPER, 1.5);
    for (const { x, y } of ends) this.cross(x, y, 5, CALLIPER);
    const text = sayLength(length(a, b, this.picture.spacing));
    this.label(text, { x: Math.max(ends[0].x, ends[1].x), y: (ends[0].y + ends[1].y) / 2 }, CALLIPER);
  }

  drawCross({ x, y }) {
    this.cross(x, y, 11, CROSS);
  }

  cross(x, y, arm, colour) {
    const { context } = this;
    const path = new Path2D(`M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`);
    context.strokeStyle = HALO;
    context.lineWidth = 3.6;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.stroke(path);
  }

  line(places, colour, width) {
    const { context } = this;
    const [from, to] = places.map((place) => this.viewport.toScreen(place));
    const path = new Path2D(`M${from.x} ${from.y}L${to.x} ${to.y}`);
    context.strokeStyle = HALO;
    context.lineWidth = width + 1.8;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(path);
  }

  /** A text beside a place, kept on the canvas. */
  label(text, { x, y }, colour) {
    const { context } = this;
    context.font = "600 13px system-ui, sans-serif";
    context.textBaseline = "middle";
    const wide = context.measureText(text).width;
    const right = this.size.width - wide - 6;
    const left = Math.max(4, Math.min(x + 10, right));
    // Pushed back over its own line it would hide it: then it stands above.
    const middle = Math.max(10, Math.min(left < x ? y - 20 : y, this.size.height - 10));
    context.lineJoin = "round";
    context.strokeStyle = "rgb(0 0 0 / .8)";
    context.lineWidth = 3.5;
    context.strokeText(text, left, middle);
    context.fillStyle = colour;
    context.fillText(text, left, middle);
  }
}
