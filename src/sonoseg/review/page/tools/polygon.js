import { Tool } from "./tool.js";

const CLOSE = 10; // screen pixels to the first corner that close the polygon
const DRAG = 4; // screen pixels between the corners of a line drawn free hand

/** Polygon: a click for each corner, or a line drawn free hand. Closed on its first corner, by Enter or twice. */
export class Polygon extends Tool {
  constructor(viewer) {
    super(viewer);
    this.corners = [];
    this.dragging = false;
  }

  get edits() {
    return true;
  }

  get holds() {
    return false;
  }

  down(place, how) {
    const { corners } = this;
    if (corners.length > 2 && (this.near(place, corners[0], CLOSE) || this.near(place, corners.at(-1), 3))) {
      this.close();
      return;
    }
    if (!corners.length) this.cutting = how.alt;
    corners.push(place);
    this.dragging = true;
    this.viewer.ask();
  }

  move(place) {
    if (this.dragging && !this.near(place, this.corners.at(-1), DRAG)) this.corners.push(place);
    this.viewer.ask();
  }

  up() {
    if (!this.dragging) return;
    this.dragging = false;
    // A line drawn free hand back to where it began is done.
    if (this.corners.length > 8 && this.near(this.corners.at(-1), this.corners[0], CLOSE)) this.close();
  }

  cancel() {
    const any = this.corners.length > 0;
    this.corners = [];
    this.dragging = false;
    this.viewer.ask();
    return any;
  }

  key(name) {
    if (!this.corners.length) return false;
    if (name === "Backspace") {
      this.corners.pop();
      this.viewer.ask();
      return true;
    }
    return false;
  }

  close() {
    const { viewer, corners } = this;
    this.corners = [];
    this.dragging = false;
    viewer.begin();
    viewer.picture.mask.polygon(corners, this.cutting ? 0 : 1);
    viewer.commit("polygon");
  }

  near(a, b, distance) {
    const { viewport } = this.viewer.main;
    const [from, to] = [viewport.toScreen(a), viewport.toScreen(b)];
    return Math.hypot(from.x - to.x, from.y - to.y) <= distance;
  }

  draw(context, viewport) {
    const { corners } = this;
    if (!corners.length) return;
    const line = this.viewer.pointer && !this.dragging ? [...corners, this.viewer.pointer] : corners;
    const path = new Path2D();
    line.map((place) => viewport.toScreen(place)).forEach(({ x, y }, k) => path[k ? "lineTo" : "moveTo"](x, y));
    for (const [colour, width] of [["rgb(0 0 0 / .7)", 3.6], [this.cutting ? "#ff9a8a" : "#fff", 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.stroke(path);
    }
    const first = viewport.toScreen(corners[0]);
    context.fillStyle = "#fff";
    context.beginPath();
    context.arc(first.x, first.y, 4, 0, 2 * Math.PI);
    context.fill();
  }
}
