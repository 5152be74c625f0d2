import assert from "node:assert/strict";
import { test } from "node:test";

import { smoothBorder, traceBorders } from "../../src/sonoseg/review/page/contour.js";
import { maskOf, randomMask } from "./random_masks.js";

/** The signed area inside a closed line (shoelace formula); holes count negative. @param {number[]} line */
function area(line) {
  let sum = 0;
  for (let k = 0; k < line.length; k += 2) {
    const [x, y] = [line[k], line[k + 1]];
    const [nextX, nextY] = [line[(k + 2) % line.length], line[(k + 3) % line.length]];
    sum += x * nextY - y * nextX;
  }
  return sum / 2;
}

const total = (/** @type {number[][]} */ lines) => lines.reduce((sum, line) => sum + area(line), 0);

test("an empty mask has no border", () => {
  assert.deepEqual(traceBorders(maskOf("...", "...")), []);
});

test("a border has the corners of the pixel edges only", () => {
  assert.deepEqual(traceBorders(maskOf("....", ".##.", "....")), [[1, 1, 3, 1, 3, 2, 1, 2]]);
});

test("a hole has a border of its own, in the other direction", () => {
  const borders = traceBorders(maskOf("###", "#.#", "###"));
  assert.deepEqual(borders.map(area), [9, -1]);
});

test("pixels that touch at a corner are within one border", () => {
  assert.equal(traceBorders(maskOf("#..", ".#.", "..#")).length, 1);
});

test("the borders of a lesion at the edges of the mask are closed", () => {
  assert.deepEqual(traceBorders(maskOf("##", "##")).map(area), [4]);
});

test("the borders enclose exactly the pixels of the mask, and nearly so when smoothed", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const mask = randomMask(seed);
    const borders = traceBorders(mask);
    const pixels = mask.data.reduce((sum, value) => sum + value, 0);
    assert.equal(total(borders), pixels);
    assert.ok(Math.abs(total(borders.map(smoothBorder)) - pixels) < 0.25 * pixels);
  }
});

test("smoothing cuts steps of one pixel and keeps long edges", () => {
  const smooth = smoothBorder([0, 0, 4, 0, 4, 1, 0, 1]);
  assert.deepEqual(smooth, [0.5, 0, 3.5, 0, 4, 0.5, 3.5, 1, 0.5, 1, 0, 0.5]);
});
