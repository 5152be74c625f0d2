import { circle, strokePath } from "../drawing.js";
import { Tool } from "./tool.js";

/** Brush and eraser: round, with a hard edge. */
export class Brush extends Tool {
  /** @param {import("../viewer.js").Viewer} viewer @param {"brush" | "eraser"} name */
  constructor(viewer, name) {
    super(viewer);
    this.name = name;
    this.draws = true;
    /** @type {Point | null} */
    this.last = null;
  }

  get edits() {
    return true;
  }

  /** @type {Tool["down"]} */
  down(point, { alt }) {
    this.draws = (this.name === "brush") !== alt;
    this.viewer.beginEdit();
    this.stroke(point, point);
  }

  /** @type {Tool["move"]} */
  move(point) {
    if (this.last) this.stroke(this.last, point);
  }

  up() {
    if (!this.last) return;
    this.last = null;
    this.viewer.commitEdit(this.draws ? "brush" : "eraser");
  }

  cancel() {
    if (!this.last) return false;
    this.last = null;
    this.viewer.cancelEdit();
    return true;
  }

  /** @param {Point} from @param {Point} to */
  stroke(from, to) {
    const { openImage, brushSize } = this.viewer;
    openImage.mask.stroke(from, to, brushSize / 2, this.draws ? 1 : 0, openImage.aspect);
    this.last = to;
    this.viewer.maskChanging();
  }

  /** Draw the brush's edge as a cursor. @type {Tool["draw"]} */
  draw(context, viewport) {
    const { pointer, brushSize } = this.viewer;
    if (!pointer) return;
    const radius = Math.max(1, (brushSize / 2) * viewport.scale);
    strokePath(context, circle(viewport.toScreen(pointer), radius), this.name === "brush" ? "#fff" : "#ff9a8a");
  }
}
