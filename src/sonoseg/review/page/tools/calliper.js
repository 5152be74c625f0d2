import { distance } from "../viewport.js";
import { Tool } from "./tool.js";

const GRIP = 10; // screen pixels within which an end is grabbed
const SHORTEST = 3; // screen pixels; shorter callipers are clicks

/** Callipers: a drag measures from end to end; ends can be moved. */
export class CalliperTool extends Tool {
  /** @type {{calliper: Calliper, end: "a" | "b", before: Point | null} | null} the grabbed end */
  grabbed = null;

  /** @type {Tool["down"]} */
  down(point) {
    const { openImage } = this.viewer;
    for (const calliper of openImage.callipers) {
      for (const end of /** @type {const} */ (["a", "b"])) {
        if (this.screenDistance(calliper[end], point) <= GRIP) this.grabbed = { calliper, end, before: calliper[end] };
      }
    }
    if (this.grabbed) return;
    const calliper = { a: point, b: point };
    openImage.callipers.push(calliper);
    this.grabbed = { calliper, end: "b", before: null };
  }

  /** @type {Tool["move"]} */
  move(point) {
    if (!this.grabbed) return;
    this.grabbed.calliper[this.grabbed.end] = point;
    this.viewer.callipersChanged({ done: false });
  }

  up() {
    if (!this.grabbed) return;
    const { calliper } = this.grabbed;
    this.grabbed = null;
    if (this.screenDistance(calliper.a, calliper.b) < SHORTEST) this.viewer.removeCalliper(calliper);
    this.viewer.callipersChanged();
  }

  cancel() {
    if (!this.grabbed) return false;
    const { calliper, end, before } = this.grabbed;
    this.grabbed = null;
    if (before) calliper[end] = before;
    else this.viewer.removeCalliper(calliper);
    this.viewer.callipersChanged();
    return true;
  }

  /** @type {Tool["key"]} */
  key(key) {
    const last = this.viewer.openImage.callipers.at(-1);
    if (!["Backspace", "Delete"].includes(key) || !last) return false;
    this.viewer.removeCalliper(last);
    this.viewer.callipersChanged();
    return true;
  }

  /** @param {Point} a @param {Point} b */
  screenDistance(a, b) {
    const { viewport } = this.viewer.main;
    return distance(viewport.toScreen(a), viewport.toScreen(b));
  }
}
