import assert from "node:assert/strict";
import { test } from "node:test";

import { Mask } from "../../src/sonoseg/review/page/mask.js";
import { generator, maskOf, randomMask, textOf } from "./random_masks.js";

/** The pixels whose centre is inside. @param {(x: number, y: number) => boolean} isInside */
function pixelsWhere(isInside, width = 57, height = 40) {
  const mask = new Mask(width, height);
  for (let k = 0; k < mask.data.length; k += 1) {
    mask.data[k] = Number(isInside((k % width) + 0.5, Math.floor(k / width) + 0.5));
  }
  return mask;
}

test("a stroke covers all pixels whose centre lies within the radius of the line", () => {
  for (const [ax, ay, bx, by, radius, aspect] of [
    [5.2, 7.9, 31.4, 20.1, 6.3, 1], [-4, 2, 70, 39, 2.5, 1], [20, 20, 20, 20, 5, 1], [9, 9, 40, 30, 4, 1.7],
  ]) {
    const mask = new Mask(57, 40);
    mask.stroke({ x: ax, y: ay }, { x: bx, y: by }, radius, 1, aspect);
    const expected = pixelsWhere((x, y) => {
      const [dx, dy] = [bx - ax, (by - ay) * aspect];
      const [px, py] = [x - ax, (y - ay) * aspect];
      const along = dx || dy ? Math.min(1, Math.max(0, (px * dx + py * dy) / (dx * dx + dy * dy))) : 0;
      return (px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius ** 2;
    });
    assert.ok(!mask.isEmpty);
    assert.deepEqual(textOf(mask), textOf(expected));
  }
});

test("a brush smaller than a pixel draws the pixel under it, and nothing outside the mask", () => {
  const mask = new Mask(4, 3);
  mask.stroke({ x: 2.1, y: 1.1 }, { x: 2.1, y: 1.1 }, 0.5, 1);
  assert.deepEqual(textOf(mask), ["....", "..#.", "...."]);
  mask.stroke({ x: 4.2, y: 1.1 }, { x: 4.2, y: 1.1 }, 0.5, 1);
  mask.stroke({ x: 1.1, y: -0.2 }, { x: 1.1, y: -0.2 }, 0.5, 1);
  assert.deepEqual(textOf(mask), ["....", "..#.", "...."]);
});

test("a stroke with value 0 erases", () => {
  const mask = maskOf("#####", "#####", "#####");
  mask.stroke({ x: 0.5, y: 1.5 }, { x: 2.5, y: 1.5 }, 0.9, 0);
  assert.deepEqual(textOf(mask), ["#####", "...##", "#####"]);
});

test("a polygon is filled by the even-odd rule", () => {
  const corners = [[4.3, 3.1], [50.2, 9.7], [11.9, 33.8], [30.1, 1.2], [44.4, 38.9]]; // crosses itself
  const expected = pixelsWhere((x, y) => {
    let isInside = false;
    corners.forEach(([ax, ay], k) => {
      const [bx, by] = corners[(k + 1) % corners.length];
      if ((y >= ay) !== (y >= by) && x > ax + ((y - ay) / (by - ay)) * (bx - ax)) isInside = !isInside;
    });
    return isInside;
  });
  const mask = new Mask(57, 40);
  mask.polygon(corners.map(([x, y]) => ({ x, y })), 1);
  assert.deepEqual(textOf(mask), textOf(expected));
  mask.polygon([{ x: 0, y: 0 }, { x: 57, y: 40 }], 0);
  assert.deepEqual(textOf(mask), textOf(expected), "two corners enclose nothing");
});

test("removing a lesion removes its 8-connected component and nothing else", () => {
  const mask = maskOf("##...", "..#..", ".....", "###..");
  assert.equal(mask.removeLesion(0, 0), 3);
  assert.deepEqual(textOf(mask), [".....", ".....", ".....", "###.."]);
  assert.equal(mask.removeLesion(0, 0), 0);
});

test("a removed lesion is all that its neighbours reach, in random masks", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const mask = randomMask(seed);
    const { width, height } = mask;
    const start = mask.data.indexOf(1);
    // Grow from the start pixel until nothing is added.
    const lesion = new Mask(width, height);
    lesion.data[start] = 1;
    for (let before = -1, pixels = 1; before !== pixels;) {
      before = pixels;
      for (let k = 0; k < mask.data.length; k += 1) {
        const [row, column] = [Math.floor(k / width), k % width];
        const touches = [-1, 0, 1].some((r) => [-1, 0, 1].some((c) => lesion.has(row + r, column + c)));
        if (mask.data[k] && !lesion.data[k] && touches) {
          lesion.data[k] = 1;
          pixels += 1;
        }
      }
    }
    const expected = mask.data.map((value, k) => value & ~lesion.data[k]);
    mask.removeLesion(Math.floor(start / width), start % width);
    assert.deepEqual(mask.data, expected);
  }
});

test("the bounding box has exclusive ends", () => {
  assert.deepEqual(maskOf(".....", "..#..", ".#...").bounds(), { top: 1, left: 1, bottom: 3, right: 3 });
  assert.equal(new Mask(4, 4).bounds(), null);
  assert.deepEqual(maskOf("#.", ".#").bounds(), { top: 0, left: 0, bottom: 2, right: 2 });
});

test("pixels outside the mask are no lesion", () => {
  const mask = maskOf("##", "##");
  const outside = [[-1, 0], [0, -1], [2, 0], [0, 2]];
  assert.ok(outside.every(([row, column]) => !mask.has(row, column)));
  assert.ok(mask.has(1, 1));
});

test("run lengths start with background and restore the mask", () => {
  assert.deepEqual(maskOf("##.", ".#.").toRuns(), [0, 2, 2, 1, 1]);
  for (let seed = 1; seed <= 20; seed += 1) {
    const mask = randomMask(seed);
    assert.ok(Mask.fromRuns(57, 40, mask.toRuns()).equals(mask));
  }
  assert.throws(() => Mask.fromRuns(3, 2, [0, 2, 2, 1]), RangeError);
  assert.throws(() => Mask.fromRuns(3, 2, [0, 7]), RangeError);
});

test("masks are equal where size and pixels are", () => {
  const mask = randomMask(1);
  assert.ok(mask.equals(mask.copy()));
  assert.ok(!new Mask(2, 3).equals(new Mask(3, 2)));
  const other = mask.copy();
  other.data[100] ^= 1;
  assert.ok(!mask.equals(other));
  other.assign(mask);
  assert.ok(mask.equals(other));
});

test("data of another size is refused", () => {
  assert.throws(() => new Mask(2, 2, new Uint8Array(5)), RangeError);
});

test("grey values from 128 up are lesion", () => {
  const mask = Mask.fromGrey({ width: 4, height: 1, values: Uint8Array.of(0, 127, 128, 255) });
  assert.deepEqual(textOf(mask), ["..##"]);
});

test("random pixels survive a copy", () => {
  const random = generator(5);
  const mask = new Mask(9, 7, Uint8Array.from({ length: 63 }, () => Number(random() < 0.5)));
  const copy = mask.copy();
  mask.data.fill(0);
  assert.ok(mask.isEmpty);
  assert.ok(!copy.isEmpty);
});
