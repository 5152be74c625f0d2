import assert from "node:assert/strict";
import { test } from "node:test";

import { distance, measureLength, Viewport } from "../../src/sonoseg/review/page/viewport.js";

const IMAGE = { width: 500, height: 400 };
const CANVAS = { width: 900, height: 700 };

const isNear = (/** @type {Point} */ a, /** @type {Point} */ b) => distance(a, b) < 1e-6;

test("the mappings to image and screen are inverse", () => {
  const viewport = new Viewport(IMAGE, CANVAS, 1.3);
  viewport.zoom(1.7, { x: 200, y: 100 });
  assert.ok(isNear(viewport.toScreen(viewport.toImage({ x: 3, y: 5 })), { x: 3, y: 5 }));
});

test("a fitted image lies in the middle, as large as the canvas allows", () => {
  const viewport = new Viewport(IMAGE, CANVAS, 2);
  assert.equal(viewport.scale, (700 / 800) * 0.96);
  assert.ok(isNear(viewport.toImage({ x: 450, y: 350 }), { x: 250, y: 200 }));
});

test("the point under the pointer stays there while zooming", () => {
  const viewport = new Viewport(IMAGE, CANVAS, 1.3);
  const at = { x: 470, y: 330 };
  const point = viewport.toImage(at);
  for (const factor of [1.2, 3, 0.5, 1.7]) {
    viewport.zoom(factor, at);
    assert.ok(isNear(viewport.toScreen(point), at), String(factor));
  }
});

test("the scale has limits", () => {
  const viewport = new Viewport(IMAGE, CANVAS);
  viewport.zoom(1e6, { x: 450, y: 350 });
  assert.equal(viewport.scale, 64);
  viewport.zoom(1e-6, { x: 450, y: 350 });
  assert.equal(viewport.scale, Math.min(1, viewport.fittingScale / 2));
  viewport.zoomTo(1);
  assert.equal(viewport.scale, 1);
});

test("a part of the image stays visible while panning", () => {
  const viewport = new Viewport(IMAGE, CANVAS);
  viewport.pan(1e5, -1e5);
  assert.equal(viewport.x, 860);
  assert.equal(viewport.y + IMAGE.height * viewport.scale, 40);
});

test("a resized canvas keeps a fitted image fitted, and the centre of another view", () => {
  const viewport = new Viewport(IMAGE, CANVAS);
  viewport.resize({ width: 450, height: 350 });
  assert.equal(viewport.scale, viewport.fittingScale);
  viewport.zoom(3, { x: 10, y: 10 });
  const { centre, scale } = viewport;
  viewport.resize({ width: 800, height: 300 });
  assert.ok(isNear(viewport.centre, centre));
  assert.equal(viewport.scale, scale);
});

test("a point is shown where it lies on the canvas", () => {
  const viewport = new Viewport(IMAGE, CANVAS);
  viewport.zoom(8, viewport.toScreen({ x: 250, y: 200 }));
  assert.ok(viewport.shows({ x: 250, y: 200 }));
  assert.ok(!viewport.shows({ x: 1, y: 1 }));
});

test("lengths are in millimetres where the pixel spacing is known", () => {
  const [a, b] = [{ x: 10, y: 20 }, { x: 40, y: 60 }];
  assert.deepEqual(measureLength(a, b, null), { value: 50, unit: "px" });
  const { value, unit } = measureLength(a, b, [0.1, 0.2]); // row, column
  assert.equal(unit, "mm");
  assert.ok(Math.abs(value - Math.hypot(30 * 0.2, 40 * 0.1)) < 1e-12);
});
