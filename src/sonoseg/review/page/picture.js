/**
 * One picture of the work list as the viewer needs it: its greys, its mask, and the maps laid over it.
 */

import { aspectOf } from "./geometry.js";
import { History } from "./history.js";
import { Mask } from "./mask.js";
import { decodeGrey } from "./png.js";
import { greyPixels, mapPixels, PLAIN, tintPixels } from "./shades.js";

const GREYS_KEPT = 40; // pictures whose greys stay in memory: neighbours in the list, frames of a clip
const DOUBT = [255, 176, 0];

/** The grey values of a PNG; through a canvas where it is of a kind that our reader leaves out. */
export async function greys(buffer) {
  const read = await decodeGrey(buffer);
  if (read) return read;
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(new Blob([buffer], { type: "image/png" }), options);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const values = Uint8Array.from({ length: bitmap.width * bitmap.height }, (_, k) => data[4 * k]);
  return { width: bitmap.width, height: bitmap.height, values };
}

function canvasOf(width, height, pixels) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

/** The greys of pictures, the last ones kept. */
export class Greys {
  constructor(api) {
    this.api = api;
    this.found = new Map();
  }

  /** @returns {Promise<{width: number, height: number, values: Uint8Array}>} */
  get(id) {
    const known = this.found.get(id);
    this.found.delete(id);
    const wanted = known ?? this.api.layer(id, "image.png").then(greys);
    this.found.set(id, wanted); // last in the order of use
    wanted.catch(() => this.found.delete(id));
    for (const oldest of this.found.keys()) {
      if (this.found.size <= GREYS_KEPT) break;
      this.found.delete(oldest);
    }
    return wanted;
  }
}

export class Picture {
  /**
   * @param {object} item as the server tells it
   * @param {{width: number, height: number, values: Uint8Array}} grey
   */
  constructor(api, item, grey) {
    this.api = api;
    this.id = item.id;
    this.item = item;
    this.width = grey.width;
    this.height = grey.height;
    this.values = grey.values;
    this.mask = new Mask(this.width, this.height);
    this.model = null; // the model's own mask, once it is there
    this.history = new History();
    this.findings = item.findings ?? [];
    this.callipers = [];
    this.window = { ...PLAIN };
    this.maps = new Map();
    this.version = 0; // grows with each change of the mask, for what is drawn from it
    this.base = null;
  }

  get aspect() {
    return aspectOf(this.item.spacing);
  }

  get spacing() {
    return this.item.spacing;
  }

  /** The mask is another now. */
  changed() {
    this.version += 1;
  }

  setWindow(window) {
    this.window = window;
    this.base = null;
  }

  /** The picture in its window, on a canvas of its own grid. */
  get shown() {
    this.base ??= canvasOf(this.width, this.height, greyPixels(this.values, this.window));
    return this.base;
  }

  /** Read a mask from the server. @param {"current" | "model"} of */
  async readMask(of) {
    return Mask.fromGrey(await greys(await this.api.layer(this.id, `mask.png?of=${of}`)));
  }

  /**
   * A map over the picture on a canvas of its grid, or null where there is none.
   * @param {"probability" | "doubt" | `attention/${number}`} name
   */
  map(name) {
    if (!this.maps.has(name)) this.maps.set(name, this.readMap(name));
    return this.maps.get(name);
  }

  async readMap(name) {
    try {
      const { width, height, values } = await greys(await this.api.layer(this.id, `${name}.png`));
      const strength = name === "probability" ? 0.6 : 0.45; // attention is often high all over
      const pixels = name === "doubt" ? tintPixels(values, DOUBT, 0.3) : mapPixels(values, strength);
      return canvasOf(width, height, pixels);
    } catch (error) {
      this.maps.delete(name); // asked again next time: the prediction may be done by then
      if (error.status === 404 || error.status === 409) return null;
      throw error;
    }
  }
}
