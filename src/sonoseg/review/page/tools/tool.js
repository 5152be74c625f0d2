/**
 * The interface of a tool, and what most tools do: nothing.
 *
 * Points are in image coordinates. A tool that edits the mask calls `viewer.beginEdit()`, changes the mask, calls
 * `viewer.maskChanging()` after each change, and ends with `viewer.commitEdit(name)`; the viewer records the undo
 * step.
 */
export class Tool {
  /** @param {import("../viewer.js").Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
  }

  /** Whether it edits the mask. */
  get edits() {
    return false;
  }

  /** Whether a drag pans the view instead. */
  get pans() {
    return false;
  }

  /** Whether Enter presses and a second Enter releases, so that arrow keys draw; otherwise Enter is a click. */
  get holds() {
    return true;
  }

  /** The pointer is pressed. @param {Point} _point @param {Press} _press */
  down(_point, _press) {}

  /** The pointer moves. @param {Point} _point @param {Press} [_press] missing where it is not pressed */
  move(_point, _press) {}

  /** The pointer is released. */
  up() {}

  /** Cancel what is unfinished. @returns {boolean} whether there was anything */
  cancel() {
    return false;
  }

  /** Handle a key. @param {string} _key as in KeyboardEvent.key @returns {boolean} whether it was used */
  key(_key) {
    return false;
  }

  /**
   * Draw over the view, in screen coordinates.
   * @param {CanvasRenderingContext2D} _context
   * @param {import("../viewport.js").Viewport} _viewport
   */
  draw(_context, _viewport) {}
}
