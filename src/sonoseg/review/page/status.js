/**
 * Status texts: what is saved, the pixel under the pointer, and the server's version and model.
 */

import { byId } from "./dom.js";
import { showError } from "./notices.js";

/** @type {Record<string, string>} */
const SAVE_STATUS = {
  saved: "All saved",
  saving: "Saving",
  offline: "Not saved: trying again",
  conflict: "Changed elsewhere: choose",
  "read-only": "Read-only",
};

/** @param {string} state */
function showSaveStatus(state) {
  byId("saved").dataset.state = state;
  byId("saved").textContent = SAVE_STATUS[state];
}

/**
 * @param {import("./mask_saver.js").MaskSaver} saver
 * @param {import("./review_form.js").ReviewForm} review
 */
export function connectSaveStatus(saver, review) {
  saver.on("state", showSaveStatus);
  saver.on("failed", (error) => {
    const message = `${error.message}. Your edit is stored in this browser and will be sent again.`;
    showError(Object.assign(error, { message }), "saving");
  });
  review.on("input", () => saver.anyPending || showSaveStatus("saving"));
  review.on("saved", () => saver.anyPending || review.changed || showSaveStatus("saved"));
}

/** Show the position and grey value under the pointer or cursor. @param {import("./viewer.js").Viewer} viewer */
export function connectPixelReadout(viewer) {
  const show = () => {
    const { image, cursor, pointer } = viewer;
    const point = cursor ?? pointer;
    const pixel = point && image?.pixelAt(point);
    const parts = [];
    if (point && image && pixel) {
      const { row, column } = pixel;
      const { spacing } = image.item;
      parts.push(`row ${row}, column ${column}, grey ${image.values[row * image.width + column]}`);
      if (spacing) parts.push(`depth ${(point.y * spacing[0]).toFixed(1)} mm`);
    }
    byId("pixel-readout").textContent = parts.join(", ");
  };
  for (const event of ["pointermove", "pointerleave", "keyup"]) byId("canvas").addEventListener(event, show);
}

/** Show the server's settings whenever they are read. @param {import("./session.js").Session} session */
export function connectServerStatus(session) {
  session.on("server", () => {
    const { version, model, runtime, research_only: research, pacs, read_only: isReadOnly } = session.server;
    byId("research").textContent = research;
    byId("about").textContent = [`sonoseg ${version}`, model && `model ${model.name} (${model.hash})`, runtime]
      .filter(Boolean).join(", ");
    byId("pacs-link").hidden = !pacs;
    for (const id of /** @type {const} */ (["add-files", "add-folder", "samples"])) byId(id).disabled = isReadOnly;
    if (isReadOnly) showSaveStatus("read-only");
  });
}
