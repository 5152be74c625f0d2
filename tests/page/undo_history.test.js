import assert from "node:assert/strict";
import { test } from "node:test";

import { Mask } from "../../src/sonoseg/review/page/mask.js";
import { differingRuns, UndoHistory } from "../../src/sonoseg/review/page/undo_history.js";
import { maskOf } from "./random_masks.js";

test("differences are runs of start and length", () => {
  assert.deepEqual(differingRuns(maskOf("..##", "...#"), maskOf(".###", "####")), [1, 1, 4, 3]);
});

test("an edit that changes nothing is no step", () => {
  const history = new UndoHistory();
  assert.equal(history.record(maskOf("#."), maskOf("#.")), false);
  assert.equal(history.canUndo, false);
});

test("300 edits are undone and redone one by one", () => {
  const [mask, history] = [new Mask(57, 40), new UndoHistory()];
  const states = [mask.copy()];
  for (let k = 0; k < 300; k += 1) {
    const before = mask.copy();
    const point = { x: (k * 7.3) % 60, y: (k * 3.7) % 43 };
    mask.stroke(point, { x: point.y, y: point.x }, 1 + (k % 5), k % 3 ? 1 : 0);
    if (history.record(before, mask)) states.push(mask.copy());
  }
  assert.ok(states.length > 200);
  for (const state of states.slice(0, -1).reverse()) {
    assert.ok(history.undo(mask));
    assert.ok(mask.equals(state));
  }
  assert.equal(history.undo(mask), false);
  assert.equal(history.canUndo, false);
  for (const state of states.slice(1)) {
    assert.ok(history.redo(mask));
    assert.ok(mask.equals(state));
  }
  assert.equal(history.redo(mask), false);
});

test("a new edit drops the undone steps", () => {
  const [mask, history] = [maskOf("..."), new UndoHistory()];
  history.record(mask, maskOf("#.."));
  mask.assign(maskOf("#.."));
  history.undo(mask);
  assert.ok(history.canRedo);
  history.record(mask, maskOf("..#"));
  assert.ok(!history.canRedo);
});
