/**
 * The export dialog: which images, which formats, and the zip archive as a download.
 */

import { byId, make } from "./dom.js";

/**
 * @param {import("./session.js").Session} session
 * @param {() => Promise<unknown>} settle waits until everything is saved
 */
export function connectExportDialog(session, settle) {
  const [form, status, submit] = [byId("export-form"), byId("export-status"), byId("export-submit")];
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    status.textContent = "Exporting. This may take a while.";
    try {
      await settle();
      status.textContent = await exportChosen(session, new FormData(form));
    } catch (/** @type {any} */ error) {
      status.textContent = error.message;
    } finally {
      submit.disabled = false;
    }
  });
  byId("export").addEventListener("close", () => {
    status.textContent = "";
  });
}

/**
 * @param {import("./session.js").Session} session
 * @param {FormData} form
 * @returns {Promise<string>} a status for the reader
 */
async function exportChosen({ api, image }, form) {
  const what = /** @type {string[]} */ (form.getAll("what"));
  const which = form.get("which");
  if (!what.length) return "Choose a format.";
  if (which === "open" && !image) return "No image is open.";
  const ids = which === "signed" ? await signedIds(api) : which === "open" && image ? [image.id] : null;
  if (ids && !ids.length) return "No image is signed.";
  const { blob, name } = await api.export({ ids, what, anonymise: form.has("anonymise") });
  download(blob, name);
  return `${name}: ${(blob.size / 1e6).toFixed(1)} MB`;
}

/** @param {import("./api.js").Api} api */
async function signedIds(api) {
  /** @type {string[]} */
  const ids = [];
  for (;;) {
    const { items, total } = await api.items({ status: "signed", sort: "added", offset: ids.length, limit: 500 });
    ids.push(...items.map((item) => item.id));
    if (ids.length >= total || !items.length) return ids;
  }
}

/** @param {Blob} blob @param {string} name */
function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser reads it after this call
}
