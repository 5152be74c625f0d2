import { Tool } from "./tool.js";

/**
 * Smart click: the server draws the lesion that is clicked. With Shift, Alt or the other button a click says that
 * the place lies outside. The clicks on one lesion count together until something else changes the mask.
 */
export class Click extends Tool {
  constructor(viewer) {
    super(viewer);
    this.points = [];
  }

  get edits() {
    return true;
  }

  get holds() {
    return false;
  }

  down(place, how) {
    const { width, height } = this.viewer.picture;
    const [row, column] = [Math.floor(place.y), Math.floor(place.x)];
    if (row < 0 || column < 0 || row >= height || column >= width) return;
    this.points.push({ row, column, inside: !(how.alt || how.shift || how.other) });
    this.viewer.ask();
    this.viewer.dispatchEvent(new CustomEvent("click-asked", { detail: { points: [...this.points] } }));
  }

  cancel() {
    const any = this.points.length > 0;
    this.points = [];
    this.viewer.ask();
    return any;
  }

  draw(context, viewport) {
    for (const { row, column, inside } of this.points) {
      const { x, y } = viewport.toScreen({ x: column + 0.5, y: row + 0.5 });
      context.beginPath();
      context.arc(x, y, 4.5, 0, 2 * Math.PI);
      context.fillStyle = inside ? "#86d993" : "#ff9a8a";
      context.strokeStyle = "#000";
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
    }
  }
}
