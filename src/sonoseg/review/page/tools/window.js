import { limitedWindow } from "../shades.js";
import { Tool } from "./tool.js";

/** Window and level: a drag across changes the window, a drag down the level. */
export class Window extends Tool {
  down(_place, how) {
    this.from = { ...how.screen, window: { ...this.viewer.picture.window } };
  }

  move(_place, how) {
    if (!this.from || !how.screen) return;
    const { x, y, window } = this.from;
    this.viewer.setWindow(
      limitedWindow({ width: window.width + (how.screen.x - x), level: window.level + (how.screen.y - y) / 2 }),
    );
  }

  up() {
    this.from = null;
  }

  cancel() {
    if (!this.from) return false;
    this.viewer.setWindow(this.from.window);
    this.from = null;
    return true;
  }

  key(name) {
    const steps = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] };
    const step = steps[name];
    if (!step) return false;
    const { width, level } = this.viewer.picture.window;
    this.viewer.setWindow(limitedWindow({ width: width + step[0], level: level + step[1] }));
    return true;
  }
}
