import { circle } from "../drawing.js";
import { Tool } from "./tool.js";

/**
 * Smart click: the server segments the lesion that is clicked. Clicks with Shift, Alt or the right button mark
 * background. The clicks on one lesion are sent together until another edit changes the mask.
 */
export class Click extends Tool {
  /** @type {ClickPoint[]} */
  points = [];

  get edits() {
    return true;
  }

  get holds() {
    return false;
  }

  /** @type {Tool["down"]} */
  down(point, { alt, shift, secondary }) {
    const pixel = this.viewer.openImage.pixelAt(point);
    if (!pixel) return;
    this.points.push({ ...pixel, inside: !(alt || shift || secondary) });
    this.viewer.requestDraw();
    this.viewer.emit("click", [...this.points]);
  }

  cancel() {
    const any = this.points.length > 0;
    this.points = [];
    this.viewer.requestDraw();
    return any;
  }

  
  /** @type {Tool["draw"]} */
  draw(context, viewport) {
    for (const { row, column, inside } of this.points) {
      const dot = circle(viewport.toScreen({ x: column + 0.5, y: row + 0.5 }), 4.5);
      context.fillStyle = inside ? "#86d993" : "#ff9a8a";
      context.strokeStyle = "#000";
      context.lineWidth = 1.5;
      context.fill(dot);
      context.stroke(dot);
    }
  }
}
