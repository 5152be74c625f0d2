/**
 * Signing off, referring and reopening the open image.
 */

import { announce, byId } from "./dom.js";
import { Emitter } from "./events.js";
import { formatTime } from "./format.js";
import { notice, showError } from "./notices.js";

/** Emits "reopened". */
export class Signing extends Emitter {
  /** @param {Pick<Parts, "session" | "saver" | "review" | "worklist" | "loader">} parts */
  constructor({ session, saver, review, worklist, loader }) {
    super();
    this.session = session;
    this.saver = saver;
    this.review = review;
    this.worklist = worklist;
    this.loader = loader;
    this.busy = false;
    session.on("change", () => this.show());
  }

  show() {
    const { item } = this.session;
    if (!item) return;
    const isSigned = item.status === "signed";
    const isReferred = item.status === "referred";
    byId("sign").hidden = isSigned;
    byId("refer").hidden = isSigned || isReferred;
    byId("reopen").hidden = !isSigned && !isReferred;
    for (const id of /** @type {const} */ (["sign", "refer", "reopen"])) {
      byId(id).disabled = this.session.server.read_only;
    }
    const signed = isSigned ? `Signed by ${item.reader}, ${formatTime(item.signed_at)}` : "";
    byId("signed-line").textContent = isReferred ? `Referred by ${item.reader}` : signed;
  }

  /** Wait until mask and review of the open image are saved. @returns {Promise<boolean>} whether they are */
  async settle() {
    const { image } = this.session;
    if (!image) return true;
    const isMaskSaved = await this.saver.settled(image.id);
    return (await this.review.flush()) && isMaskSaved;
  }

  /** Sign, refer or reopen; the next unfinished image opens after the first two. @param {SignAction} action */
  async submit(action) {
    const { session, worklist, loader } = this;
    const { image } = session;
    if (!image || session.server.read_only || this.busy) return;
    if (!session.reader) {
      byId("reader").setAttribute("aria-invalid", "true");
      byId("reader").focus();
      notice("Enter your initials first.", { key: "reader", seconds: 6 });
      return;
    }
    this.busy = true;
    try {
      // The reading time is saved with the review, whether or not anything else changed.
      if (action !== "reopen" && session.isEditable) this.review.changed = true;
      if (!(await this.settle())) return;
      const comment = action === "refer" ? { comment: byId("comment").value.trim() } : {};
      const json = { reader: session.reader, ...comment };
      const item = await session.api.setStatus(image.id, action, json, this.saver.revision(image.id));
      worklist.counts[image.item.status] -= 1;
      worklist.counts[item.status] += 1;
      session.update(item);
      announce(`${item.name} ${item.status}`);
      if (action === "reopen") {
        this.emit("reopened");
        return;
      }
      const next = worklist.nextUnfinished(image.id);
      if (next) await loader.open(next);
      else notice("All images of this worklist are finished.", { key: "done", seconds: 8 });
    } catch (/** @type {any} */ error) {
      if (error.status === 412) await loader.open(image.id);
      showError(error, "sign");
    } finally {
      this.busy = false;
    }
  }
}
