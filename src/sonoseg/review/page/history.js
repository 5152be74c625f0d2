/**
 * Undo and redo without end. No DOM.
 *
 * A step is kept as the pixels it changed, in runs. Flipping them again takes the step back, so undo and redo
 * are one operation, and a step costs a few hundred bytes instead of a picture.
 */

/** The runs in which two masks differ: [start, length, start, length ...] over their flat pixels. */
export function difference(before, after) {
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

function flip(mask, runs) {
  for (let k = 0; k < runs.length; k += 2) {
    const end = runs[k] + runs[k + 1];
    for (let at = runs[k]; at < end; at += 1) mask.data[at] ^= 1;
  }
}

export class History {
  constructor() {
    this.past = [];
    this.future = [];
  }

  get canUndo() {
    return this.past.length > 0;
  }

  get canRedo() {
    return this.future.length > 0;
  }

  /**
   * Remember a step. What was undone before is forgotten, as everywhere.
   * @returns {boolean} false where nothing changed: no step is kept then
   */
  record(before, after, name) {
    const runs = difference(before, after);
    if (!runs.length) return false;
    this.past.push({ name, runs });
    this.future = [];
    return true;
  }

  /** Take the last step back in `mask`. Returns its name, or null where there is none. */
  undo(mask) {
    const step = this.past.pop();
    if (!step) return null;
    flip(mask, step.runs);
    this.future.push(step);
    return step.name;
  }

  /** Do the step again that was undone last. Returns its name, or null where there is none. */
  redo(mask) {
    const step = this.future.pop();
    if (!step) return null;
    flip(mask, step.runs);
    this.past.push(step);
    return step.name;
  }
}
