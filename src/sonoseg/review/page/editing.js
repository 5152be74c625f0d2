/**
 * Edits of the open image: saved as they are made, and measured meanwhile.
 */

import { announce } from "./dom.js";
import { decodePng } from "./image.js";
import { Mask } from "./mask.js";
import { dismiss, notice, showError } from "./notices.js";
import { storage } from "./storage.js";

export class Editing {
  /** @param {Pick<Parts, "session" | "saver" | "viewer" | "findings" | "worklist" | "signing">} parts */
  constructor({ session, saver, viewer, findings, worklist, signing }) {
    this.session = session;
    this.saver = saver;
    this.viewer = viewer;
    this.worklist = worklist;
    this.signing = signing;
    this.clicks = 0; // requests of smart clicks
    viewer.on("changing", () => findings.measure());
    viewer.on("edit", (tool) => {
      saver.save(viewer.openImage.id, viewer.openImage.mask, tool, session.stopwatch.lap());
      findings.measure();
      session.emit("change");
    });
    viewer.on("locked", () => this.showLocked());
    viewer.on("callipers", ({ done }) => {
      findings.showCallipers();
      if (done) this.storeCallipers();
    });
    viewer.on("click", (points) => this.segmentAt(points));
    findings.on("measured", () => viewer.requestDraw());
    findings.on("delete", (lesion) => this.deleteLesion(lesion));
    findings.on("delete-calliper", (calliper) => {
      viewer.removeCalliper(calliper);
      viewer.callipersChanged();
    });
    saver.on("saved", (answer) => this.noteSaved(answer));
  }

  /** Say why the image cannot be edited. */
  showLocked() {
    const isReadOnly = this.session.server.read_only;
    const text = isReadOnly ? "This server is read-only." : "This image is signed. Reopen it to edit it.";
    const choices = isReadOnly ? null : { Reopen: () => this.signing.submit("reopen"), Close: () => {} };
    notice(text, { key: "locked", seconds: 8, choices });
  }

  /** @param {{id: string, isLast: boolean, revision: number, findings: Lesion[], lesions: number}} answer */
  async noteSaved({ id, isLast, revision, findings, lesions }) {
    const { session, viewer } = this;
    dismiss("saving");
    this.worklist.update({ id, revision, lesions });
    const { image } = session;
    if (image?.id !== id) return;
    image.item.revision = revision;
    if (image.item.status === "new" || image.item.status === "referred") image.item.status = "read";
    if (!isLast) return;
    if (!viewer.isEditing) {
      image.findings = findings;
      image.measuredVersion = image.version;
      viewer.requestDraw();
    }
    const item = await session.api.item(id).catch(() => null);
    if (item && session.image === image && !this.saver.isPending(id)) session.update(item);
  }

  /**
   * Smart click. Pending edits are saved first: the server segments upon the mask that it has.
   * @param {ClickPoint[]} points
   */
  async segmentAt(points) {
    const { viewer, session } = this;
    const { openImage: image } = viewer;
    const clicked = viewer.tools.click.points;
    this.clicks += 1;
    const request = this.clicks;
    try {
      if (!(await this.saver.settled(image.id))) {
        throw Object.assign(new Error("The server does not answer. Use the brush meanwhile."), { status: 0 });
      }
      const grey = await decodePng(await session.api.click(image.id, points));
      if (session.image !== image || request !== this.clicks || viewer.isEditing) return;
      if (!viewer.replaceMask(Mask.fromGrey(grey), "click")) announce("The mask did not change");
    } catch (error) {
      clicked.pop();
      viewer.requestDraw();
      showError(error, "click");
    }
  }

  /** @param {Lesion} lesion */
  deleteLesion(lesion) {
    const pixel = pixelOf(lesion, this.viewer.openImage.mask);
    if (pixel) this.viewer.deleteLesion(...pixel);
  }

  /** Delete the lesion under the pointer, or the only one. */
  deleteAtPointer() {
    const { openImage: image, cursor, pointer } = this.viewer;
    const at = cursor ?? pointer;
    const pixel = at && image.pixelAt(at);
    if (pixel && image.mask.has(pixel.row, pixel.column)) this.viewer.deleteLesion(pixel.row, pixel.column);
    else if (image.findings.length === 1) this.deleteLesion(image.findings[0]);
    else announce("No lesion under the pointer");
  }

  storeCallipers() {
    const { id, callipers } = this.viewer.openImage;
    if (callipers.length) storage.set(`callipers.${id}`, JSON.stringify(callipers));
    else storage.remove(`callipers.${id}`);
  }
}

/**
 * A pixel that surely belongs to a lesion: its centroid, or where that lies outside or in a hole, one near an end of
 * its longest axis.
 * @param {Lesion} lesion
 * @param {Mask} mask
 * @returns {[row: number, column: number] | null}
 */
function pixelOf({ box, centroid, longest_axis_ends: ends }, mask) {
  const [row, column] = centroid.map(Math.round);
  if (mask.has(row, column)) return [row, column];
  const [endRow, endColumn] = (ends?.[0] ?? centroid).map(Math.round);
  for (let distance = 0; distance <= 2; distance += 1) {
    for (let r = endRow - distance; r <= endRow + distance; r += 1) {
      for (let c = endColumn - distance; c <= endColumn + distance; c += 1) {
        const isInside = r >= box.top && c >= box.left && r < box.top + box.height && c < box.left + box.width;
        if (isInside && mask.has(r, c)) return [r, c];
      }
    }
  }
  return null;
}
