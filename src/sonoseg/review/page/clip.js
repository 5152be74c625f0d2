/**
 * The frames of a clip: each frame is an item of its own.
 */

import { byId, debounce } from "./dom.js";

export class Clip {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./image_loading.js").ImageLoader} loader
   */
  constructor(session, loader) {
    this.session = session;
    this.loader = loader;
    const slider = byId("frame");
    const openSoon = debounce(() => this.open(Number(slider.value)), 60);
    slider.addEventListener("input", () => {
      this.showFrame(Number(slider.value));
      openSoon();
    });
    session.on("open", () => this.show());
  }

  show() {
    const { item } = this.session;
    byId("clip").hidden = !item || item.frames < 2;
    if (!item || item.frames < 2) return;
    byId("frame").max = String(item.frames - 1);
    byId("frame").value = String(item.frame);
    this.showFrame(item.frame ?? 0);
  }

  /** @param {number} frame */
  showFrame(frame) {
    const text = `frame ${frame + 1} of ${this.session.item?.frames}`;
    byId("frame-text").textContent = text;
    byId("frame").setAttribute("aria-valuetext", text);
  }

  /** Open a frame of the clip, the nearest one where there is no such frame. @param {number} frame from 0 */
  open(frame) {
    const { item } = this.session;
    if (!item || item.frames < 2) return;
    const wanted = Math.min(item.frames - 1, Math.max(0, frame));
    if (wanted !== item.frame) this.loader.open(`${item.clip}-${String(wanted).padStart(5, "0")}`);
  }

  /** @param {number} frames to go forward */
  step(frames) {
    this.open((this.session.item?.frame ?? 0) + frames);
  }
}
