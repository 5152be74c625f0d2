/**
 * Undo and redo of mask edits, without limit. No DOM.
 *
 * A step is stored as the runs of pixels it changed. Flipping them undoes or redoes it, and a step takes a few
 * hundred bytes instead of an image.
 */

/**
 * The runs in which two masks of one size differ: [start, length, start, length ...] over their flat pixels.
 * @param {import("./mask.js").Mask} before
 * @param {import("./mask.js").Mask} after
 */
export function differingRuns(before, after) {
  const runs = [];
  const [a, b] = [before.data, after.data];
  for (let k = 0; k < a.length; k += 1) {
    if (a[k] === b[k]) continue;
    const start = k;
    while (k < a.length && a[k] !== b[k]) k += 1;
    runs.push(start, k - start);
  }
  return runs;
}

export class UndoHistory {
  constructor() {
    /** @type {number[][]} */
    this.past = [];
    /** @type {number[][]} */
    this.future = [];
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  /**
   * Record a step; the steps undone before are dropped.
   * @param {import("./mask.js").Mask} before
   * @param {import("./mask.js").Mask} after
   * @returns {boolean} false where the masks are equal: no step is recorded then
   */
  record(before, after) {
    const runs = differingRuns(before, after);
    if (!runs.length) return false;
    this.past.push(runs);
    this.future = [];
    return true;
  }

  /** Undo the last step in `mask`. @param {import("./mask.js").Mask} mask @returns {boolean} whether there was one */
  undo(mask) {
    return flipLast(mask, this.past, this.future);
  }

  /** Redo the last undone step. @param {import("./mask.js").Mask} mask @returns {boolean} whether there was one */
  redo(mask) {
    return flipLast(mask, this.future, this.past);
  }
}

/**
 * Flip the pixels of the last step of one list and move the step to the other.
 * @param {import("./mask.js").Mask} mask
 * @param {number[][]} from
 * @param {number[][]} to
 */
function flipLast(mask, from, to) {
  const runs = from.pop();
  if (!runs) return false;
  for (let k = 0; k < runs.length; k += 2) {
    for (let at = runs[k]; at < runs[k] + runs[k + 1]; at += 1) mask.data[at] ^= 1;
  }
  to.push(runs);
  return true;
}
