import { Tool } from "./tool.js";

/** Brush and eraser: round, hard-edged, from place to place without gaps. */
export class Brush extends Tool {
  /** @param {"brush" | "eraser"} name */
  constructor(viewer, name) {
    super(viewer);
    this.name = name;
    this.last = null;
  }

  get edits() {
    return true;
  }

  down(place, how) {
    // With Alt the brush erases and the eraser draws: one hand stays on the mouse.
    this.drawing = (this.name === "brush") !== how.alt;
    this.viewer.begin();
    this.stroke(place, place);
  }

  move(place) {
    if (this.last) this.stroke(this.last, place);
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.viewer.commit(this.drawing ? "brush" : "eraser");
  }

  cancel() {
    if (!this.last) return false;
    this.last = null;
    this.viewer.takeBack();
    return true;
  }

  stroke(from, to) {
    const { picture, brushSize } = this.viewer;
    picture.mask.stroke(from, to, brushSize / 2, this.drawing ? 1 : 0, picture.aspect);
    this.last = to;
    this.viewer.live();
  }

  /** The brush's edge under the pointer, in place of a cursor. */
  draw(context, viewport) {
    const place = this.viewer.pointer;
    if (!place) return;
    const { x, y } = viewport.toScreen(place);
    const radius = Math.max(1, (this.viewer.brushSize / 2) * viewport.scale);
    for (const [colour, width] of [["rgb(0 0 0 / .7)", 3], [this.name === "brush" ? "#fff" : "#ff9a8a", 1.3]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke();
    }
  }
}
