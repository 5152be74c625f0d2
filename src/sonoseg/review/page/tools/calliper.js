import { Tool } from "./tool.js";

const GRIP = 10; // screen pixels

/** Callipers: drag from end to end; an end that is there can be moved. */
export class Calliper extends Tool {
  constructor(viewer) {
    super(viewer);
    this.held = null; // the calliper and which of its ends
  }

  down(place) {
    const { viewport } = this.viewer.main;
    const at = viewport.toScreen(place);
    for (const calliper of this.viewer.picture.callipers) {
      for (const end of ["a", "b"]) {
        const { x, y } = viewport.toScreen(calliper[end]);
        if (Math.hypot(x - at.x, y - at.y) <= GRIP) this.held = { calliper, end, before: calliper[end] };
      }
    }
    if (this.held) return;
    const calliper = { a: place, b: place };
    this.viewer.picture.callipers.push(calliper);
    this.held = { calliper, end: "b", before: null };
  }

  move(place) {
    if (!this.held) return;
    this.held.calliper[this.held.end] = place;
    this.viewer.measuring();
  }

  up() {
    if (!this.held) return;
    const { calliper } = this.held;
    this.held = null;
    const [a, b] = [calliper.a, calliper.b].map((place) => this.viewer.main.viewport.toScreen(place));
    if (Math.hypot(a.x - b.x, a.y - b.y) < 3) this.remove(calliper); // a click measures nothing
    this.viewer.measured();
  }

  cancel() {
    if (!this.held) return false;
    const { calliper, end, before } = this.held;
    this.held = null;
    if (before) calliper[end] = before;
    else this.remove(calliper);
    this.viewer.measured();
    return true;
  }

  key(name) {
    const { callipers } = this.viewer.picture;
    if (!["Backspace", "Delete"].includes(name) || !callipers.length) return false;
    callipers.pop();
    this.viewer.measured();
    return true;
  }

  remove(calliper) {
    const { picture } = this.viewer;
    picture.callipers = picture.callipers.filter((one) => one !== calliper);
  }
}
