/**
 * The mapping between an image and the canvas that shows it, and lengths in the image. No DOM.
 */

const MAX_SCALE = 64; // screen pixels per image column
const FILL = 0.96; // of the canvas that a fitted image fills
const MIN_VISIBLE = 40; // screen pixels of the image that stay on the canvas

/**
 * The position and scale of an image on a canvas, in CSS pixels of the canvas. `aspect` is a pixel's height over
 * its width: images with oblong pixels are shown in their true proportions.
 */
export class Viewport {
  x = 0;
  y = 0;
  scale = 1;

  /** @param {Size} [image] @param {Size} [canvas] */
  constructor(image = { width: 1, height: 1 }, canvas = { width: 1, height: 1 }, aspect = 1) {
    this.image = image;
    this.canvas = canvas;
    this.aspect = aspect;
    this.fit();
  }

  /** Show another image, fitted. @param {Size} image columns and rows @param {Size} canvas CSS pixels */
  set(image, canvas, aspect = 1) {
    Object.assign(this, { image, canvas, aspect });
    this.fit();
  }

  /** The canvas has another size: the centre of the view stays in the centre. @param {Size} canvas */
  resize(canvas) {
    const { centre } = this;
    const fitted = this.scale === this.fittingScale;
    this.canvas = canvas;
    if (fitted) this.fit();
    else this.centreOn(centre);
  }

  /** Screen pixels per column at which the whole image is visible. */
  get fittingScale() {
    const across = this.canvas.width / this.image.width;
    const down = this.canvas.height / (this.image.height * this.aspect);
    return Math.max(0.01, Math.min(across, down) * FILL);
  }

  /** The image point in the middle of the canvas. */
  get centre() {
    return this.toImage({ x: this.canvas.width / 2, y: this.canvas.height / 2 });
  }

  fit() {
    this.scale = this.fittingScale;
    this.centreOn({ x: this.image.width / 2, y: this.image.height / 2 });
  }

  /** Move an image point to the middle of the canvas. @param {Point} point */
  centreOn({ x, y }) {
    this.x = this.canvas.width / 2 - x * this.scale;
    this.y = this.canvas.height / 2 - y * this.scale * this.aspect;
  }

  /** @param {Point} point on the canvas @returns {Point} in the image */
  toImage({ x, y }) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / (this.scale * this.aspect) };
  }

  /** @param {Point} point in the image @returns {Point} on the canvas */
  toScreen({ x, y }) {
    return { x: this.x + x * this.scale, y: this.y + y * this.scale * this.aspect };
  }

  /** Zoom by a factor; the image point under `at` (canvas) stays there. @param {number} factor @param {Point} at */
  zoom(factor, at) {
    const point = this.toImage(at);
    const least = Math.min(this.fittingScale / 2, 1);
    this.scale = Math.min(MAX_SCALE, Math.max(least, this.scale * factor));
    this.x = at.x - point.x * this.scale;
    this.y = at.y - point.y * this.scale * this.aspect;
    this.keepVisible();
  }

  /** Zoom about the middle of the canvas. @param {number} scale screen pixels per image column */
  zoomTo(scale) {
    this.zoom(scale / this.scale, { x: this.canvas.width / 2, y: this.canvas.height / 2 });
  }

  /** @param {number} dx @param {number} dy in screen pixels */
  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.keepVisible();
  }

  keepVisible() {
    const { width, height } = this.image;
    const [across, down] = [width * this.scale, height * this.scale * this.aspect];
    this.x = Math.min(this.canvas.width - MIN_VISIBLE, Math.max(MIN_VISIBLE - across, this.x));
    this.y = Math.min(this.canvas.height - MIN_VISIBLE, Math.max(MIN_VISIBLE - down, this.y));
  }

  /** Whether an image point is on the canvas. @param {Point} point */
  shows(point) {
    const { x, y } = this.toScreen(point);
    return x >= 0 && y >= 0 && x <= this.canvas.width && y <= this.canvas.height;
  }
}

/** @param {Point} a @param {Point} b */
export function distance(a, b) {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

/**
 * The length between two image points, in mm where the pixel spacing is known.
 * @param {Point} a
 * @param {Point} b
 * @param {Spacing | null} spacing millimetres per row and per column
 * @returns {{value: number, unit: "mm" | "px"}}
 */
export function measureLength(a, b, spacing) {
  const [down, across] = spacing ?? [1, 1];
  return { value: Math.hypot((b.x - a.x) * across, (b.y - a.y) * down), unit: spacing ? "mm" : "px" };
}
