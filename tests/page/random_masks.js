/**
 * Pseudo-random values and masks for the tests, the same in every run.
 */

import { Mask } from "../../src/sonoseg/review/page/mask.js";

/** A generator of numbers in [0, 1) (mulberry32). @param {number} seed */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A mask with lesions, holes and pixels that touch at corners. @param {number} seed */
export function randomMask(seed, width = 57, height = 40) {
  const random = generator(seed);
  const noise = Float32Array.from({ length: width * height }, random);
  const mask = new Mask(width, height);
  for (let row = 1; row < height - 1; row += 1) {
    for (let column = 1; column < width - 1; column += 1) {
      let sum = 0;
      for (const at of [-width - 1, -width, -width + 1, -1, 0, 1, width - 1, width, width + 1]) {
        sum += noise[row * width + column + at];
      }
      if (sum > 4.6) mask.data[row * width + column] = 1;
    }
  }
  return mask;
}

/** A mask drawn as text, "#" for lesion. @param {string[]} rows */
export function maskOf(...rows) {
  const data = Uint8Array.from(rows.join(""), (letter) => Number(letter === "#"));
  return new Mask(rows[0].length, rows.length, data);
}

/** A mask as text. @param {Mask} mask */
export function textOf({ width, data }) {
  const letters = Array.from(data, (value) => (value ? "#" : ".")).join("");
  return letters.match(new RegExp(`.{${width}}`, "g")) ?? [];
}
