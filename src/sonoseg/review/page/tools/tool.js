/**
 * What every tool answers to. Places are in picture coordinates; `how` carries the keys that are held.
 *
 * A tool gets the viewer it works in. Those that change the mask call `viewer.begin()`, change
 * `viewer.picture.mask`, call `viewer.live()` while they go on, and end with `viewer.commit(name)`; the viewer
 * keeps history and has it saved.
 */
export class Tool {
  /** @param {import("../viewer.js").Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
  }

  /** Whether it changes the mask. */
  get edits() {
    return false;
  }

  /** Whether Enter takes hold and a second Enter lets go, so that arrow keys draw; otherwise Enter is a click. */
  get holds() {
    return true;
  }

  /** @param {{x: number, y: number}} place @param {{alt: boolean, shift: boolean, last?: object}} how */
  down() {}

  move() {}

  up() {}

  /** Give up what is half done. Returns whether there was anything. */
  cancel() {
    return false;
  }

  /** A key that only this tool knows. Returns whether it was used. */
  key() {
    return false;
  }

  /** Draw in screen coordinates over the view. */
  draw() {}
}
