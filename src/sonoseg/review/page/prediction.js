/**
 * The prediction of the open image: requested before all others, and shown as soon as it is done.
 */

import { byId, sleep } from "./dom.js";
import { notice, showError } from "./notices.js";

const POLL = 350; // ms
const BUSY_SECONDS = 2; // until the next request where the server's queue is full

export class Prediction {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./mask_saver.js").MaskSaver} saver
   * @param {import("./viewer.js").Viewer} viewer
   */
  constructor(session, saver, viewer) {
    this.session = session;
    this.saver = saver;
    this.viewer = viewer;
  }

  /** @param {string} text "" for none */
  showStatus(text) {
    byId("prediction-status").textContent = text;
    byId("prediction-status").hidden = !text;
  }

  /** Predict an image where needed, and show the result while the image is open. @param {ReviewImage} image */
  async follow(image) {
    const { session } = this;
    const isOpen = () => session.image === image;
    const isUnfinished = () => ["none", "waiting", "running"].includes(image.item.prediction);
    this.showStatus("");
    try {
      if (!session.server.read_only && isUnfinished()) {
        await this.request(image);
        while (isOpen() && isUnfinished()) {
          this.showStatus("Predicting");
          await sleep(POLL);
          if (isOpen()) Object.assign(image.item, await session.api.item(image.id));
        }
      }
      if (!isOpen()) return;
      this.showStatus("");
      const { prediction, failure } = image.item;
      if (prediction === "failed") notice(`The prediction failed: ${failure}`, { key: "open", error: true });
      if (prediction === "done" && !image.model) await this.showResult(image);
    } catch (error) {
      if (!isOpen()) return;
      this.showStatus("");
      showError(error, "open");
    }
  }

  /** Request the prediction, again while the server's queue is full. @param {ReviewImage} image */
  async request(image) {
    for (;;) {
      try {
        Object.assign(image.item, await this.session.api.predict(image.id));
        return;
      } catch (/** @type {any} */ error) {
        if (error.status !== 503 || this.session.image !== image) throw error;
        this.showStatus("The server is busy. This image is next.");
        await sleep((error.retryAfter ?? BUSY_SECONDS) * 1000);
      }
    }
  }

  /** @param {ReviewImage} image */
  async showResult(image) {
    const { session, saver, viewer } = this;
    const { id } = image;
    // The answer that said "done" may be of the request to predict, which has no findings.
    const [model, item] = await Promise.all([image.readMask("model"), session.api.item(id)]);
    image.model = model;
    if (!session.server.model) await session.readServer(); // the model was still being loaded
    if (session.image !== image) return;
    const isUntouched = item.revision === 0 && !saver.isPending(id) && !image.history.canUndo && !viewer.isEditing;
    if (isUntouched) {
      image.mask.assign(model);
      image.version += 1;
      image.findings = item.findings ?? [];
    }
    saver.setRevision(id, item.revision);
    session.update(item);
    await viewer.refresh();
  }
}

/** @typedef {import("./image.js").ReviewImage} ReviewImage */
