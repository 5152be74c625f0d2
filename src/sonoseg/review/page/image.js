/**
 * An image of the worklist as the viewer needs it: grey values, mask, undo history and the maps laid over it.
 */

import { FULL_WINDOW, mapPixels, tintPixels, windowPixels } from "./colour_maps.js";
import { Mask } from "./mask.js";
import { decodeGrey } from "./png.js";
import { UndoHistory } from "./undo_history.js";

const CACHED_IMAGES = 40; // whose grey values stay in memory: neighbours in the list, frames of a clip
const UNCERTAIN = [255, 176, 0];

/**
 * Decode a PNG; through a canvas where `decodeGrey` does not support its kind.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<GreyImage>}
 */
export async function decodePng(buffer) {
  const grey = await decodeGrey(buffer);
  if (grey) return grey;
  const blob = new Blob([buffer], { type: "image/png" });
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const context = contextOf(width, height);
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  return { width, height, values: Uint8Array.from({ length: width * height }, (_, k) => data[4 * k]) };
}

/** A new canvas's context. @param {number} width @param {number} height */
function contextOf(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}

/** @param {number} width @param {number} height @param {Uint8ClampedArray<ArrayBuffer>} pixels RGBA */
function canvasOf(width, height, pixels) {
  const context = contextOf(width, height);
  context.putImageData(new ImageData(pixels, width, height), 0, 0);
  return context.canvas;
}

/** The grey values of images, the most recently used ones cached. */
export class GreyCache {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    /** @type {Map<string, Promise<GreyImage>>} in the order of use */
    this.cached = new Map();
  }

  /** @param {string} id @returns {Promise<GreyImage>} */
  get(id) {
    const wanted = this.cached.get(id) ?? this.api.layer(id, "image.png").then(decodePng);
    this.cached.delete(id);
    this.cached.set(id, wanted);
    wanted.catch(() => this.cached.delete(id));
    for (const oldest of this.cached.keys()) {
      if (this.cached.size <= CACHED_IMAGES) break;
      this.cached.delete(oldest);
    }
    return wanted;
  }
}

export class ReviewImage {
  /**
   * @param {import("./api.js").Api} api
   * @param {ItemDetails} item
   * @param {GreyImage} grey
   */
  constructor(api, item, grey) {
    this.api = api;
    this.id = item.id;
    this.item = item;
    this.width = grey.width;
    this.height = grey.height;
    this.values = grey.values;
    this.mask = new Mask(this.width, this.height);
    /** @type {Mask | null} the model's own mask, once predicted */
    this.model = null;
    this.history = new UndoHistory();
    /** @type {Lesion[]} */
    this.findings = item.findings ?? [];
    this.measuredVersion = -1; // of the mask that `findings` measure
    /** @type {Calliper[]} */
    this.callipers = [];
    /** @type {GreyWindow} */
    this.window = { ...FULL_WINDOW };
    /** @type {Map<string, Promise<HTMLCanvasElement | null>>} */
    this.maps = new Map();
    this.version = 0; // of the mask: grows with each change
    /** @type {HTMLCanvasElement | null} */
    this.windowed = null;
  }

  /** A pixel's height over its width. */
  get aspect() {
    const { spacing } = this.item;
    return spacing ? spacing[0] / spacing[1] : 1;
  }

  /** Whether there is a mask, of the model or of a reader. */
  get hasMask() {
    return this.item.prediction === "done" || this.item.revision > 0;
  }

  /** The pixel of an image point, or null outside the image. @param {Point} point */
  pixelAt({ x, y }) {
    const [row, column] = [Math.floor(y), Math.floor(x)];
    const isInside = row >= 0 && column >= 0 && row < this.height && column < this.width;
    return isInside ? { row, column } : null;
  }

  /** @param {GreyWindow} window */
  setWindow(window) {
    this.window = window;
    this.windowed = null;
  }

  /** The image in its window, on a canvas of its own size. */
  get canvas() {
    this.windowed ??= canvasOf(this.width, this.height, windowPixels(this.values, this.window));
    return this.windowed;
  }

  /** Read a mask from the server. @param {"current" | "model"} of */
  async readMask(of) {
    return Mask.fromGrey(await decodePng(await this.api.layer(this.id, `mask.png?of=${of}`)));
  }

  /**
   * A map on a canvas of the image's size, or null where there is none.
   * @param {string} name "probability", "uncertainty" or "attention/1", "attention/2" ...
   */
  map(name) {
    const wanted = this.maps.get(name) ?? this.readMap(name);
    this.maps.set(name, wanted);
    return wanted;
  }

  /** @param {string} name */
  async readMap(name) {
    try {
      const { width, height, values } = await decodePng(await this.api.layer(this.id, `${name}.png`));
      const opacity = name === "probability" ? 0.6 : 0.45; // attention is often high everywhere
      const isBand = name === "uncertainty";
      return canvasOf(width, height, isBand ? tintPixels(values, UNCERTAIN, 0.3) : mapPixels(values, opacity));
    } catch (/** @type {any} */ error) {
      this.maps.delete(name); // may exist after the prediction
      if (error.status === 404 || error.status === 409) return null;
      throw error;
    }
  }
}
