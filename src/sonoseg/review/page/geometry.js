/**
 * Where the picture lies on the screen, and lengths on it. No DOM.
 */

const CLOSEST = 64; // screen pixels per picture column
const MARGIN = 0.96; // of the canvas that a fitted picture fills

/**
 * The way between a picture and the canvas that shows it. Both in CSS pixels of the canvas.
 * `aspect` is a pixel's height over its width, so that a picture of oblong pixels looks as it was scanned.
 */
export class Viewport {
  constructor() {
    this.set({ width: 1, height: 1 }, { width: 1, height: 1 });
  }

  /**
   * @param {{width: number, height: number}} picture columns and rows
   * @param {{width: number, height: number}} canvas CSS pixels
   */
  set(picture, canvas, aspect = 1) {
    this.picture = picture;
    this.canvas = canvas;
    this.aspect = aspect;
    this.fit();
  }

  /** The canvas has another size: the picture's middle of view stays in the middle. */
  resize(canvas) {
    const fitted = this.isFitted;
    const middle = this.toPicture({ x: this.canvas.width / 2, y: this.canvas.height / 2 });
    this.canvas = canvas;
    if (fitted) this.fit();
    else this.centre(middle);
  }

  /** Screen pixels per column at which the whole picture is seen. */
  get fittingScale() {
    const across = this.canvas.width / this.picture.width;
    const down = this.canvas.height / (this.picture.height * this.aspect);
    return Math.max(0.01, Math.min(across, down) * MARGIN);
  }

  get isFitted() {
    return this.scale === this.fittingScale;
  }

  fit() {
    this.scale = this.fittingScale;
    this.centre({ x: this.picture.width / 2, y: this.picture.height / 2 });
  }

  /** Bring a place of the picture to the middle of the canvas. */
  centre({ x, y }) {
    this.x = this.canvas.width / 2 - x * this.scale;
    this.y = this.canvas.height / 2 - y * this.scale * this.aspect;
  }

  toPicture({ x, y }) {
    return { x: (x - this.x) / this.scale, y: (y - this.y) / (this.scale * this.aspect) };
  }

  toScreen({ x, y }) {
    return { x: this.x + x * this.scale, y: this.y + y * this.scale * this.aspect };
  }

  /** Zoom by a factor so that the place under `at` (canvas) stays under it. */
  zoom(factor, at) {
    const place = this.toPicture(at);
    const least = Math.min(this.fittingScale / 2, 1);
    this.scale = Math.min(CLOSEST, Math.max(least, this.scale * factor));
    this.x = at.x - place.x * this.scale;
    this.y = at.y - place.y * this.scale * this.aspect;
    this.keepInView();
  }

  /** One picture column for `scale` screen pixels, about the middle of the canvas. */
  zoomTo(scale) {
    this.zoom(scale / this.scale, { x: this.canvas.width / 2, y: this.canvas.height / 2 });
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.keepInView();
  }

  /** At least a bit of the picture stays on the canvas, so that nobody loses it. */
  keepInView() {
    const kept = 40;
    const [wide, tall] = [this.picture.width * this.scale, this.picture.height * this.scale * this.aspect];
    this.x = Math.min(this.canvas.width - kept, Math.max(kept - wide, this.x));
    this.y = Math.min(this.canvas.height - kept, Math.max(kept - tall, this.y));
  }

  /** Whether a place of the picture is on the canvas. */
  sees(place) {
    const { x, y } = this.toScreen(place);
    return x >= 0 && y >= 0 && x <= this.canvas.width && y <= this.canvas.height;
  }
}

/**
 * The length between two places of a picture.
 * @param {[number, number] | null} spacing millimetres per row and per column, or null
 * @returns {{value: number, unit: "mm" | "px"}}
 */
export function length(a, b, spacing) {
  const [down, across] = spacing ?? [1, 1];
  return { value: Math.hypot((b.x - a.x) * across, (b.y - a.y) * down), unit: spacing ? "mm" : "px" };
}

/** The angle of a line to the picture's rows in degrees, 0..90. */
export function angle(a, b, spacing) {
  const [down, across] = spacing ?? [1, 1];
  return (Math.atan2(Math.abs((b.y - a.y) * down), Math.abs((b.x - a.x) * across)) * 180) / Math.PI;
}

/** A length in words: "12.3 mm", "145 px". */
export function sayLength({ value, unit }) {
  return unit === "mm" ? `${value.toFixed(1)} mm` : `${Math.round(value)} px`;
}

/** A pixel's height over its width. */
export function aspectOf(spacing) {
  return spacing ? spacing[0] / spacing[1] : 1;
}

/** Middle and distance of two fingers. */
export function pinch(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
}
