/**
 * The list of an image's saved revisions, read while it is unfolded.
 */

import { byId, make } from "./dom.js";
import { formatDuration, formatTime } from "./format.js";
import { showError } from "./notices.js";

export class RevisionList {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./mask_saver.js").MaskSaver} saver
   */
  constructor(session, saver) {
    this.session = session;
    byId("revisions").addEventListener("toggle", () => this.read());
    session.on("open", () => this.read());
    saver.on("saved", ({ isLast }) => isLast && this.read());
  }

  async read() {
    const { image, api } = this.session;
    if (!byId("revisions").open || !image) return;
    try {
      const { entries } = await api.history(image.id);
      if (this.session.image !== image) return;
      const lines = entries.reverse().map((entry) => make("li", { text: formatEntry(entry) }));
      byId("revision-list").replaceChildren(...lines);
    } catch (error) {
      showError(error, "history");
    }
  }
}

/** @param {HistoryEntry} entry */
function formatEntry({ at, reader, tool, action, revision, seconds }) {
  const duration = seconds ? formatDuration(seconds) : null;
  return [formatTime(at), reader, tool ?? action, `revision ${revision}`, duration].filter(Boolean).join(", ");
}
