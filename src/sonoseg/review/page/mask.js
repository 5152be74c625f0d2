/**
 * A mask on the picture's own grid, and the edits a reader makes to it. No DOM.
 *
 * Places are in picture coordinates: x to the right, y down, the pixel of column c and row r covers
 * [c, c + 1) x [r, r + 1), so its middle is at (c + 0.5, r + 0.5). A pixel is in or out, nothing between:
 * what is drawn is what is saved.
 */

export class Mask {
  /**
   * @param {number} width columns
   * @param {number} height rows
   * @param {Uint8Array} [data] row by row, 1 where there is lesion, else 0
   */
  constructor(width, height, data = new Uint8Array(width * height)) {
    if (data.length !== width * height) throw new RangeError(`${data.length} pixels for ${width} x ${height}`);
    this.width = width;
    this.height = height;
    this.data = data;
  }

  /** A mask from grey values: lesion from 128 up. */
  static fromGrey({ width, height, values }) {
    return new Mask(width, height, values.map((value) => (value >= 128 ? 1 : 0)));
  }

  /** Its grey values: 0 and 255. */
  toGrey() {
    return this.data.map((value) => (value ? 255 : 0));
  }

  copy() {
    return new Mask(this.width, this.height, this.data.slice());
  }

  /** Take over another mask's pixels. */
  become(other) {
    this.data.set(other.data);
  }

  equals(other) {
    if (other.width !== this.width || other.height !== this.height) return false;
    return this.data.every((value, k) => value === other.data[k]);
  }

  /** The number of lesion pixels. */
  count() {
    let sum = 0;
    for (const value of this.data) sum += value;
    return sum;
  }

  has(row, column) {
    return row >= 0 && column >= 0 && row < this.height && column < this.width
      && this.data[row * this.width + column] === 1;
  }

  /**
   * The box around all lesion pixels, or null for an empty mask.
   * @returns {{top: number, left: number, bottom: number, right: number} | null} bottom and right are exclusive
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

  clear() {
    this.data.fill(0);
  }

  /**
   * Draw from one place to another with a round brush: every pixel whose middle lies within `radius` of the line.
   * @param {{x: number, y: number}} from
   * @param {{x: number, y: number}} to the same place for a dab
   * @param {number} radius in columns
   * @param {0 | 1} value
   * @param {number} [aspect] height of a pixel over its width: keeps the brush round where pixels are not square
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
    // A brush smaller than a pixel still draws: the pixel it stands on.
    if (radius < 0.75) this.put(to, value);
  }

  put({ x, y }, value) {
    const [row, column] = [Math.floor(y), Math.floor(x)];
    if (row < 0 || column < 0 || row >= this.height || column >= this.width) return;
    this.data[row * this.width + column] = value;
  }

  /**
   * Fill a polygon: every pixel whose middle lies inside, by the even-odd rule.
   * @param {{x: number, y: number}[]} points its corners; the last is joined to the first
   * @param {0 | 1} value
   */
  polygon(points, value) {
    if (points.length < 3) return;
    const ys = points.map((point) => point.y);
    const top = Math.max(0, Math.floor(Math.min(...ys)));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(...ys)));
    for (let row = top; row <= bottom; row += 1) {
      const y = row + 0.5;
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
   * Remove the lesion at a place: its 8-connected component, as the findings count lesions.
   * @returns {number} the pixels removed, 0 where there is no lesion
   */
  removeLesion(row, column) {
    if (!this.has(row, column)) return 0;
    const { width, height, data } = this;
    const waiting = [row * width + column];
    data[waiting[0]] = 0;
    let removed = 0;
    while (waiting.length) {
      const at = waiting.pop();
      removed += 1;
      const [r, c] = [Math.floor(at / width), at % width];
      for (let y = Math.max(0, r - 1); y <= Math.min(height - 1, r + 1); y += 1) {
        for (let x = Math.max(0, c - 1); x <= Math.min(width - 1, c + 1); x += 1) {
          if (!data[y * width + x]) continue;
          data[y * width + x] = 0;
          waiting.push(y * width + x);
        }
      }
    }
    return removed;
  }

  /** Its pixels as run lengths, row by row, lesion-free first: a short form to keep. */
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

  /** The mask that `toRuns` gave. Throws RangeError where the runs do not fill it. */
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
