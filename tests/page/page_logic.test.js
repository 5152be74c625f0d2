import assert from "node:assert/strict";
import { test } from "node:test";

import {
  clampWindow, FULL_WINDOW, mapPixels, tintPixels, windowPixels,
} from "../../src/sonoseg/review/page/colour_maps.js";
import { COMMANDS, EDITING_TOOLS, SINGLE } from "../../src/sonoseg/review/page/commands.js";
import { formatDone, formatRuler } from "../../src/sonoseg/review/page/calibration.js";
import {
  formatDuration, formatLength, formatLesions, formatSpacing, formatTime,
} from "../../src/sonoseg/review/page/format.js";
import { keyName } from "../../src/sonoseg/review/page/keyboard.js";
import { Stopwatch } from "../../src/sonoseg/review/page/stopwatch.js";

const GREYS = Uint8Array.from({ length: 256 }, (_, k) => k);

test("the full window shows every grey value unchanged", () => {
  const pixels = windowPixels(GREYS, FULL_WINDOW);
  for (const grey of GREYS) assert.deepEqual([...pixels.slice(4 * grey, 4 * grey + 4)], [grey, grey, grey, 255]);
});

test("a window spreads its greys over black to white", () => {
  const pixels = windowPixels(GREYS, { width: 100, level: 150 });
  assert.deepEqual([50, 100, 150, 200, 250].map((grey) => pixels[4 * grey]), [0, 0, 128, 255, 255]);
  assert.deepEqual(clampWindow({ width: 0, level: 999 }), { width: 2, level: 382 });
  assert.deepEqual(clampWindow({ width: 999, level: -999 }), { width: 510, level: -127 });
});

test("maps go from dark blue to yellow and fade in", () => {
  const pixels = mapPixels(GREYS, 0.6);
  assert.deepEqual([...pixels.slice(0, 4)], [0, 34, 78, 0]);
  assert.deepEqual([...pixels.slice(-4)], [254, 232, 56, 153]);
  assert.deepEqual([...tintPixels(Uint8Array.of(0, 9), [1, 2, 3], 1)], [0, 0, 0, 0, 1, 2, 3, 255]);
});

test("every command has keys, and no key two commands", () => {
  const keys = COMMANDS.flatMap((command) => command.keys);
  assert.ok(COMMANDS.every((command) => command.keys.length && command.label));
  assert.equal(new Set(keys).size, keys.length);
  const names = COMMANDS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const name of [...EDITING_TOOLS, ...SINGLE]) assert.ok(names.includes(name), name);
});

test("keys have the names of the table", () => {
  const names = [
    [{ key: "z" }, "z"],
    [{ key: "Z", shiftKey: true }, "Shift+Z"],
    [{ key: "z", ctrlKey: true }, "Mod+z"],
    [{ key: "Z", metaKey: true, shiftKey: true }, "Mod+Shift+Z"],
    [{ key: "?", shiftKey: true }, "?"],
    [{ key: "Z" }, "z"], // caps lock
    [{ key: "Enter", ctrlKey: true }, "Mod+Enter"],
    [{ key: "b", altKey: true }, null],
  ];
  for (const [event, name] of names) assert.equal(keyName(/** @type {any} */ (event)), name);
});

test("reading time is counted while the reader is active", () => {
  let now = 0;
  const watch = new Stopwatch(() => now);
  watch.start(100);
  now = 5000;
  watch.tick();
  assert.equal(watch.lap(), 5);
  now = 10 * 60_000; // idle for ten minutes: one of them counts
  watch.tick();
  assert.equal(watch.seconds, 165);
  watch.pause();
  now += 50_000; // hidden
  watch.tick();
  assert.deepEqual([watch.seconds, watch.lap()], [165, 60]);
});

test("measurements and times have their formats", () => {
  assert.equal(formatLength({ value: 7.211, unit: "mm" }), "7.2 mm");
  assert.equal(formatLength({ value: 49.6, unit: "px" }), "50 px");
  assert.deepEqual([0, 1, 2].map(formatLesions), ["no lesion", "1 lesion", "2 lesions"]);
  assert.deepEqual([48.2, 185].map(formatDuration), ["48 s", "3 min 05 s"]);
  assert.deepEqual([null, "soon"].map(formatTime), ["", "soon"]);
});

test("sizes in pixels come with the reason and the remedy, a calibration with who made it", () => {
  const unknown = { spacing_reason: "the file carries no calibration", spacing_origin: "none" };
  const text = formatSpacing(unknown, true);
  assert.match(text, /^Sizes are in pixels: the file carries no calibration\. Draw a calliper .* choose Calibrate\.$/);
  assert.equal(formatSpacing({ spacing_reason: null, spacing_origin: "file" }, false), "");
  const calibrated = { spacing_reason: null, spacing_origin: "calibrated by AB (exam)" };
  assert.equal(formatSpacing(calibrated, false), "Pixel spacing: calibrated by AB (exam)");
  /** @type {Ruler} */
  const ruler = { ends: [[30, 5], [410, 5]], count: 17, proposals: [{ tick: 2.5, spacing: 0.10526 }] };
  assert.equal(formatRuler(ruler), "Depth ruler: 17 ticks. If it is 40 mm long, a pixel is 0.105 mm. Compare it.");
  assert.equal(formatDone({ changed: 1, signed: 0, own: 0 }), "Calibrated: 1 image.");
  assert.equal(
    formatDone({ changed: 3, signed: 1, own: 2 }),
    "Calibrated: 3 images. Signed and left: 1. Left with a spacing of their own: 2.",
  );
});
