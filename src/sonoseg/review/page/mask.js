/**
 * A binary mask on the image's grid, and the edits of a reader. No DOM.
 *
 * Points are in image coordinates: x to the right, y down. The pixel of column c and row r covers
 * [c, c + 1) x [r, r + 1), so its centre is (c + 0.5, r + 0.5).
 */

import { encodeGrey } from "./png.js";

export class Mask {
  /**
   * @param {number} width columns
   * @param {number} height rows
   * @param {Uint8Array} [data] row by row, 1 for lesion, else 0
   */
  constructor(width, height, data = new Uint8Array(width * height)) {
    if (data.length !== width * height) throw new RangeError(`${data.length} pixels for ${width} x ${height}`);
    this.width = width;
    this.height = height;
    this.data = data;
  }

  /** A mask from grey values: lesion from 128 up. @param {GreyImage} image */
  static fromGrey({ width, height, values }) {
    return new Mask(width, height, values.map((value) => (value >= 128 ? 1 : 0)));
  }

  /** The mask as PNG: 255 for lesion, else 0. @returns {Promise<Blob>} */
  toPng() {
    return encodeGrey(this.width, this.height, this.data.map((value) => (value ? 255 : 0)));
  }

  copy() {
    return new Mask(this.width, this.height, this.data.slice());
  }

  /** Copy another mask's pixels into this one. @param {Mask} other */
  assign(other) {
    this.data.set(other.data);
  }

  /** @param {Mask} other */
  equals(other) {
    if (other.width !== this.width || other.height !== this.height) return false;
    return this.data.every((value, k) => value === other.data[k]);
  }

  get isEmpty() {
    return !this.data.includes(1);
  }

  /** Whether a pixel is lesion; false outside the image. @param {number} row @param {number} column */
  has(row, column) {
    return row >= 0 && column >= 0 && row < this.height && column < this.width
      && this.data[row * this.width + column] === 1;
  }

  /**
   * The bounding box of all lesion pixels; bottom and right are exclusive. null for an empty mask.
   * @returns {{top: number, left: number, bottom: number, right: number} | null}
   */
  bounds() {
    const { width, data } = this;
    const first = data.indexOf(1);
    if (first < 0) return null;
    const box = { top: Math.floor(first / width), left: width, bottom: 0, right: 0 };
    for (let row = box.top; row < this.height; row += 1) {
      const line = data.subarray(row * width, (row + 1) * width);
      const from = line.indexOf(1);
      if (from < 0) continue;
      box.left = Math.min(box.left, from);
      box.right = Math.max(box.right, line.lastIndexOf(1) + 1);
      box.bottom = row + 1;
    }
    return box;
  }

  /**
   * Draw a line with a round brush: every pixel whose centre lies within `radius` of the line.
   * @param {Point} from
   * @param {Point} to equal to `from` for a dot
   * @param {number} radius in columns
   * @param {0 | 1} value
   * @param {number} [aspect] a pixel's height over its width: keeps the brush round where pixels are not square
   */
  stroke(from, to, radius, value, aspect = 1) {
    const down = radius / aspect;
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - down));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(from.y, to.y) + down));
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius));
    const right = Math.min(this.width - 1, Math.ceil(Math.max(from.x, to.x) + radius));
    const [dx, dy] = [to.x - from.x, (to.y - from.y) * aspect];
    const length = dx * dx + dy * dy;
    for (let row = top; row <= bottom; row += 1) {
      const py = (row + 0.5 - from.y) * aspect;
      for (let column = left; column <= right; column += 1) {
        const px = column + 0.5 - from.x;
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const [ex, ey] = [px - along * dx, py - along * dy];
        if (ex * ex + ey * ey <= radius * radius) this.data[row * this.width + column] = value;
      }
    }
    // A brush smaller than a pixel may miss every centre: it draws the pixel under it.
    const [row, column] = [Math.floor(to.y), Math.floor(to.x)];
    const isInside = row >= 0 && column >= 0 && row < this.height && column < this.width;
    if (radius < 0.75 && isInside) this.data[row * this.width + column] = value;
  }

  /**
   * Fill a polygon: every pixel whose centre lies inside, by the even-odd rule.
   * @param {Point[]} points the corners
   * @param {0 | 1} value
   */
  polygon(points, value) {
    if (points.length < 3) return;
    const ys = points.map((point) => point.y);
    const top = Math.max(0, Math.floor(Math.min(...ys)));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(...ys)));
    for (let row = top; row <= bottom; row += 1) {
      const y = row + 0.5;
      /** @type {number[]} */
      const crossings = [];
      points.forEach((a, k) => {
        const b = points[(k + 1) % points.length];
        if (a.y <= y !== b.y <= y) crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
      });
      crossings.sort((a, b) => a - b);
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        const from = Math.max(0, Math.ceil(crossings[k] - 0.5));
        const to = Math.min(this.width, Math.ceil(crossings[k + 1] - 0.5));
        if (to > from) this.data.fill(value, row * this.width + from, row * this.width + to);
      }
    }
  }

  /**
   * Remove the lesion at a pixel: its 8-connected component, as in the findings.
   * @param {number} row
   * @param {number} column
   * @returns {number} the number of pixels removed
   */
  removeLesion(row, column) {
    if (!this.has(row, column)) return 0;
    const { width, height, data } = this;
    const found = [row * width + column];
    data[found[0]] = 0;
    let removed = 0;
    for (let at = found.pop(); at !== undefined; at = found.pop()) {
      removed += 1;
      const [r, c] = [Math.floor(at / width), at % width];
      for (let y = Math.max(0, r - 1); y <= Math.min(height - 1, r + 1); y += 1) {
        for (let x = Math.max(0, c - 1); x <= Math.min(width - 1, c + 1); x += 1) {
          if (!data[y * width + x]) continue;
          data[y * width + x] = 0;
          found.push(y * width + x);
        }
      }
    }
    return removed;
  }

  /** Run lengths row by row, starting with background. @returns {number[]} */
  toRuns() {
    const runs = [];
    let [value, length] = [0, 0];
    for (const pixel of this.data) {
      if (pixel !== value) {
        runs.push(length);
        [value, length] = [pixel, 0];
      }
      length += 1;
    }
    runs.push(length);
    return runs;
  }

  /**
   * The mask of the run lengths that `toRuns` gave.
   * @param {number} width
   * @param {number} height
   * @param {number[]} runs
   * @throws {RangeError} where the runs do not fill the mask
   */
  static fromRuns(width, height, runs) {
    const mask = new Mask(width, height);
    let at = 0;
    runs.forEach((length, k) => {
      if (k % 2) mask.data.fill(1, at, at + length);
      at += length;
    });
    if (at !== width * height) throw new RangeError(`runs of ${at} pixels for ${width} x ${height}`);
    return mask;
  }
}
