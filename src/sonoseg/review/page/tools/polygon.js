import { circle, pathThrough, strokePath } from "../drawing.js";
import { distance } from "../viewport.js";
import { Tool } from "./tool.js";

const CLOSE = 10; // screen pixels to the first corner within which a click closes the polygon
const DOUBLE_CLICK = 3; // screen pixels to the last corner
const STEP = 4; // screen pixels between the corners of a freehand line

/**
 * Polygon: a click for each corner, or a freehand line. A click on the first corner, or on the last one again,
 * closes it.
 */
export class Polygon extends Tool {
  /** @type {Point[]} */
  corners = [];
  isDragging = false;
  cuts = false;

  get edits() {
    return true;
  }

  get holds() {
    return false;
  }

  /** @type {Tool["down"]} */
  down(point, { alt }) {
    const { corners } = this;
    if (corners.length > 2 && (this.isNear(point, 0, CLOSE) || this.isNear(point, -1, DOUBLE_CLICK))) {
      this.close();
      return;
    }
    if (!corners.length) this.cuts = alt;
    corners.push(point);
    this.isDragging = true;
    this.viewer.requestDraw();
  }

  /** @type {Tool["move"]} */
  move(point) {
    if (this.isDragging && !this.isNear(point, -1, STEP)) this.corners.push(point);
    this.viewer.requestDraw();
  }

  up() {
    if (!this.isDragging) return;
    this.isDragging = false;
    // A freehand line that ends where it began is closed.
    const { corners } = this;
    if (corners.length > 8 && this.isNear(corners[corners.length - 1], 0, CLOSE)) this.close();
  }

  cancel() {
    const any = this.corners.length > 0;
    this.corners = [];
    this.isDragging = false;
    this.viewer.requestDraw();
    return any;
  }

  /** @type {Tool["key"]} */
  key(key) {
    if (key !== "Backspace" || !this.corners.length) return false;
    this.corners.pop();
    this.viewer.requestDraw();
    return true;
  }

  close() {
    const { viewer, corners } = this;
    this.corners = [];
    this.isDragging = false;
    viewer.beginEdit();
    viewer.openImage.mask.polygon(corners, this.cuts ? 0 : 1);
    viewer.commitEdit("polygon");
  }

  /**
   * Whether a point is within some screen pixels of a corner.
   * @param {Point} point
   * @param {number} index of the corner; negative from the end
   * @param {number} limit
   */
  isNear(point, index, limit) {
    const corner = this.corners.at(index);
    const { viewport } = this.viewer.main;
    return corner !== undefined && distance(viewport.toScreen(point), viewport.toScreen(corner)) <= limit;
  }

  
  /** @type {Tool["draw"]} */
  draw(context, viewport) {
    const { pointer } = this.viewer;
    if (!this.corners.length) return;
    const line = (pointer && !this.isDragging ? [...this.corners, pointer] : this.corners)
      .map((point) => viewport.toScreen(point));
    strokePath(context, pathThrough(line), this.cuts ? "#ff9a8a" : "#fff");
    context.fillStyle = "#fff";
    context.fill(circle(line[0], 4));
  }
}
