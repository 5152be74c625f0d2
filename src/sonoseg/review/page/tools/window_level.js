import { clampWindow } from "../colour_maps.js";
import { Tool } from "./tool.js";

/** @type {Record<string, [number, number]>} width and level that an arrow key adds */
const KEYS = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] };

/** Window and level: a horizontal drag changes the window's width, a vertical one its level. */
export class WindowLevel extends Tool {
  /** @type {{screen: Point, window: GreyWindow} | null} where the drag began */
  start = null;

  /** @type {Tool["down"]} */
  down(_point, { screen }) {
    this.start = { screen, window: { ...this.viewer.openImage.window } };
  }

  /** @type {Tool["move"]} */
  move(_point, press) {
    if (!this.start || !press) return;
    const { screen, window } = this.start;
    this.change(window, press.screen.x - screen.x, (press.screen.y - screen.y) / 2);
  }

  up() {
    this.start = null;
  }

  cancel() {
    if (!this.start) return false;
    this.viewer.setWindow(this.start.window);
    this.start = null;
    return true;
  }

  /** @type {Tool["key"]} */
  key(key) {
    const step = KEYS[key];
    if (step) this.change(this.viewer.openImage.window, ...step);
    return Boolean(step);
  }

  /** @param {GreyWindow} window @param {number} width to add @param {number} level to add */
  change(window, width, level) {
    this.viewer.setWindow(clampWindow({ width: window.width + width, level: window.level + level }));
  }
}
