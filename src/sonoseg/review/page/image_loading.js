/**
 * Opening an image: its masks, an unsaved edit, and the undo history of an earlier visit.
 */

import { announce, byId } from "./dom.js";
import { GreyCache, ReviewImage } from "./image.js";
import { Mask } from "./mask.js";
import { dismiss, notice, showError } from "./notices.js";
import { storage } from "./storage.js";

const EDITING_RETRY = 1000; // ms

export class ImageLoader {
  /** @param {Pick<Parts, "session" | "saver" | "viewer" | "review" | "prediction">} parts */
  constructor({ session, saver, viewer, review, prediction }) {
    this.session = session;
    this.saver = saver;
    this.viewer = viewer;
    this.review = review;
    this.prediction = prediction;
    this.greys = new GreyCache(session.api);
    /** @type {Map<string, {history: import("./undo_history.js").UndoHistory, mask: Mask}>} by id */
    this.visited = new Map();
    /** @type {string | null} the id asked for last */
    this.wanted = null;
  }

  /** Open an image of the worklist. The review of the present one is saved first. @param {string | null} [id] */
  async open(id) {
    if (!id) return;
    this.wanted = id;
    try {
      const { api } = this.session;
      const [item, grey] = await Promise.all([api.item(id), this.greys.get(id), this.review.flush()]);
      const image = new ReviewImage(api, item, grey);
      if (this.wanted === id) await this.readMasks(image);
      if (this.wanted === id) await this.show(image);
    } catch (error) {
      if (this.wanted === id) showError(error, "open");
    }
  }

  /** Read an image's masks; the current one may be an edit that is still being saved. @param {ReviewImage} image */
  async readMasks(image) {
    const { item, id } = image;
    const [current, model] = await Promise.all([
      image.hasMask ? image.readMask("current") : new Mask(image.width, image.height),
      item.prediction === "done" ? image.readMask("model") : null,
    ]);
    image.mask = this.saver.queue(id).waiting.at(-1)?.mask.copy() ?? current;
    image.model = model;
    image.callipers = JSON.parse(storage.get(`callipers.${id}`) ?? "[]");
    this.saver.setRevision(id, item.revision);
    const visited = this.visited.get(id);
    // The undo steps hold only for the mask that they led to.
    if (visited?.mask.equals(image.mask)) image.history = visited.history;
  }

  /** @param {ReviewImage} image */
  async show(image) {
    const { session, viewer } = this;
    const { item } = image;
    dismiss("open");
    if (session.image) {
      const { id, history, mask } = session.image;
      this.visited.set(id, { history, mask: mask.copy() });
    }
    byId("welcome").hidden = true;
    history.replaceState(null, "", `#${encodeURIComponent(item.id)}`);
    document.title = `${item.name} - sonoseg review`;
    byId("name").textContent = item.name;
    byId("name").title = item.name;
    session.stopwatch.start(item.review?.seconds ?? 0);
    session.image = image;
    await viewer.show(image);
    if (session.image !== image) return;
    session.emit("open");
    session.emit("change");
    announce(`${item.name}, ${item.status}`);
    this.recoverUnsaved(image);
    this.prediction.follow(image);
  }

  /** Bring back an edit of this image that never reached the server. @param {ReviewImage} image */
  recoverUnsaved(image) {
    const { session, saver, viewer } = this;
    if (session.image !== image) return;
    const unsaved = viewer.isEditing ? null : saver.findUnsaved(image.id);
    if (!unsaved) {
      // Another tab may be about to send its edit, unless that tab is closed: look again later.
      const wait = viewer.isEditing ? EDITING_RETRY : saver.untilAbandoned(image.id);
      if (wait !== null) setTimeout(() => this.recoverUnsaved(image), wait);
      return;
    }
    const { mask, tool, revision, key } = unsaved;
    saver.discard(key);
    if (mask.width !== image.width || mask.height !== image.height || mask.equals(image.mask)) return;
    const restore = () => session.image === image && viewer.replaceMask(mask, tool);
    if (revision === image.item.revision && session.isEditable) {
      restore();
      notice("Your last edit was not saved. It has been restored and is saved now.", { key: "recovery", seconds: 12 });
      return;
    }
    notice("An edit of this image was not saved, and the image changed since.", {
      key: "recovery",
      choices: { "Restore the edit": restore, "Discard it": () => {} },
    });
  }
}
