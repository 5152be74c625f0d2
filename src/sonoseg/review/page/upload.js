/**
 * Adding pictures: by dropping files or folders anywhere on the page, or by the two buttons.
 */

import { byId, make } from "./dom.js";
import { fault, notice } from "./notices.js";

const FILES = 8; // in one request
const SPACING = /^\d*\.?\d+(,\s*\d*\.?\d+)?$/;
const HIDDEN = /^(\.|Thumbs\.db$|desktop\.ini$|DICOMDIR$)/i;

/** All files of what was dropped, folders opened. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const files = [];
  const open = async (entry) => {
    if (entry.isFile) {
      files.push(await new Promise((found, failed) => entry.file(found, failed)));
      return;
    }
    const reader = entry.createReader();
    // A reader gives a folder in parts (100 in Chromium) until it gives none.
    for (;;) {
      const part = await new Promise((found, failed) => reader.readEntries(found, failed));
      if (!part.length) return;
      for (const one of part) await open(one);
    }
  };
  for (const entry of entries) await open(entry);
  return files;
}

export class Upload extends EventTarget {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
    this.limits = { max_bytes: 64 << 20, max_body: 256 << 20 };
    for (const [button, input] of [["add-files", "files"], ["add-folder", "folder"]]) {
      byId(button).addEventListener("click", () => byId(input).click());
      byId(input).addEventListener("change", (event) => {
        this.add([...event.target.files]);
        event.target.value = "";
      });
    }
    let depth = 0; // dragenter and dragleave come for every element on the way
    const wanted = (event) => !this.closed && event.dataTransfer?.types.includes("Files");
    addEventListener("dragenter", (event) => {
      if (wanted(event)) byId("dropping").hidden = ++depth < 1;
    });
    addEventListener("dragleave", (event) => {
      if (wanted(event)) byId("dropping").hidden = --depth < 1;
    });
    addEventListener("dragover", (event) => wanted(event) && event.preventDefault());
    addEventListener("drop", async (event) => {
      if (!wanted(event)) return;
      event.preventDefault();
      depth = 0;
      byId("dropping").hidden = true;
      this.add(await dropped(event.dataTransfer).catch(() => [...event.dataTransfer.files]));
    });
  }

  /** Send files, a few at a time. @param {File[]} files */
  async add(files) {
    const wanted = files.filter((file) => !HIDDEN.test(file.name));
    if (!wanted.length) return;
    const spacing = byId("spacing").value.trim();
    const wellSaid = !spacing || SPACING.test(spacing);
    byId("spacing").setAttribute("aria-invalid", String(!wellSaid));
    if (!wellSaid) {
      notice(`"${spacing}" is no spacing. Enter millimetres per pixel, such as 0.08, or 0.08,0.1 (row, column).`, {
        key: "spacing", seconds: 12,
      });
      return;
    }
    const refused = [];
    const added = [];
    let sent = 0;
    for (const part of this.parts(wanted, refused)) {
      byId("uploading").hidden = false;
      byId("uploading").textContent = `Adding ${Math.min(sent + 1, wanted.length)} of ${wanted.length}`;
      try {
        const answer = await this.api.add(part, spacing);
        added.push(...answer.items);
        refused.push(...answer.refused);
      } catch (error) {
        if (error.refused) {
          refused.push(...error.refused);
        } else if (error.status === 422 || error.status === 413) {
          refused.push(...part.map((file) => ({ name: file.name, found: error.found, remedy: error.remedy })));
        } else {
          fault(error, "upload");
          refused.push(...wanted.slice(sent).map((file) => ({ name: file.name, found: "not sent", remedy: "" })));
          break;
        }
      }
      sent += part.length;
      this.dispatchEvent(new CustomEvent("added", { detail: added }));
    }
    byId("uploading").hidden = true;
    this.showRefused(refused);
    this.dispatchEvent(new CustomEvent("done", { detail: added }));
  }

  /** The files in parts that the server takes; those too large for it are refused here, before they travel. */
  *parts(files, refused) {
    let [part, bytes] = [[], 0];
    for (const file of files) {
      if (file.size > this.limits.max_bytes) {
        const most = Math.round(this.limits.max_bytes / 2 ** 20);
        refused.push({ name: file.name, found: `larger than ${most} MiB`, remedy: "Send a smaller file" });
        continue;
      }
      if (part.length === FILES || (part.length && bytes + file.size > this.limits.max_body * 0.9)) {
        yield part;
        [part, bytes] = [[], 0];
      }
      part.push(file);
      bytes += file.size;
    }
    if (part.length) yield part;
  }

  showRefused(refused) {
    const box = byId("refused");
    box.hidden = !refused.length;
    if (!refused.length) return;
    const lines = refused.map(({ name, found, remedy }) =>
      make("li", {}, [make("strong", { text: name }), ` ${[found, remedy].filter(Boolean).join(". ")}`]));
    const close = make("button", { type: "button", text: "Close", onclick: () => (box.hidden = true) });
    const said = refused.length === 1 ? "One file was not added:" : `${refused.length} files were not added:`;
    box.replaceChildren(make("p", { text: said }), make("ul", {}, lines), close);
  }
}
