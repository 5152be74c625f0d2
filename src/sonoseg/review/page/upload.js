/**
 * Adding images: files or folders dropped anywhere on the page, or chosen by the two buttons.
 */

import { byId, make } from "./dom.js";
import { Emitter } from "./events.js";
import { notice, showError } from "./notices.js";

const BATCH = 8; // files in one request
const SPACING = /^\d*\.?\d+(,\s*\d*\.?\d+)?$/;
const SYSTEM_FILES = /^(\.|Thumbs\.db$|desktop\.ini$|DICOMDIR$)/i;

/** All dropped files, those in folders included. @param {DataTransfer} transfer */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null);
  if (!entries.length) return [...transfer.files];
  /** @type {File[]} */
  const files = [];
  const collect = async (/** @type {any} */ entry) => {
    if (entry.isFile) {
      files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      return;
    }
    const reader = entry.createReader();
    // A reader gives the entries in parts (100 in Chromium); an empty part is the end.
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!part.length) return;
      for (const one of part) await collect(one);
    }
  };
  for (const entry of entries) await collect(entry);
  return files;
}

/** Emits "added" (Item[]) after each request and "done" (Item[]) after the last. */
export class Upload extends Emitter {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.session = session;
    for (const [button, input] of [[byId("add-files"), byId("files")], [byId("add-folder"), byId("folder")]]) {
      const chooser = /** @type {HTMLInputElement} */ (input);
      button.addEventListener("click", () => chooser.click());
      chooser.addEventListener("change", () => {
        this.add([...(chooser.files ?? [])]);
        chooser.value = "";
      });
    }
    this.connectDropping();
  }

  connectDropping() {
    const overlay = byId("dropping");
    let depth = 0; // dragenter and dragleave come for every element that the pointer passes
    const carriesFiles = (/** @type {DragEvent} */ { dataTransfer }) =>
      !this.session.server.read_only && Boolean(dataTransfer?.types.includes("Files"));
    const enter = (/** @type {number} */ step) => (/** @type {DragEvent} */ event) => {
      if (!carriesFiles(event)) return;
      depth += step;
      overlay.hidden = depth < 1;
    };
    addEventListener("dragenter", enter(1));
    addEventListener("dragleave", enter(-1));
    addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
    addEventListener("drop", async (event) => {
      const { dataTransfer } = event;
      if (!carriesFiles(event) || !dataTransfer) return;
      event.preventDefault();
      depth = 0;
      overlay.hidden = true;
      this.add(await droppedFiles(dataTransfer).catch(() => [...dataTransfer.files]));
    });
  }

  /** Send files, some at a time. @param {File[]} files */
  async add(files) {
    const wanted = files.filter((file) => !SYSTEM_FILES.test(file.name));
    if (!wanted.length) return;
    const spacing = byId("spacing").value.trim();
    const isValid = !spacing || SPACING.test(spacing);
    byId("spacing").setAttribute("aria-invalid", String(!isValid));
    if (!isValid) {
      const remedy = "Enter millimetres per pixel, for example 0.08, or 0.08,0.1 (row, column).";
      notice(`"${spacing}" is not a valid pixel spacing. ${remedy}`, { key: "spacing", seconds: 12 });
      return;
    }
    /** @type {Refusal[]} */
    const refused = [];
    /** @type {Item[]} */
    const added = [];
    let sent = 0;
    for (const batch of this.batches(wanted, refused)) {
      byId("uploading").hidden = false;
      byId("uploading").textContent = `Adding ${Math.min(sent + 1, wanted.length)} of ${wanted.length}`;
      const refuse = (/** @type {File[]} */ some, found = "not sent", remedy = "") =>
        refused.push(...some.map(({ name }) => ({ name, found, remedy })));
      try {
        const answer = await this.session.api.add(batch, spacing);
        added.push(...answer.items);
        refused.push(...answer.refused);
      } catch (/** @type {any} */ error) {
        if (error.refused) refused.push(...error.refused);
        else if (error.status === 422 || error.status === 413) refuse(batch, error.found, error.remedy);
        else {
          showError(error, "upload");
          refuse(wanted.slice(sent));
          break;
        }
      }
      sent += batch.length;
      this.emit("added", added);
    }
    byId("uploading").hidden = true;
    this.showRefused(refused);
    this.emit("done", added);
  }

  /**
   * Files in batches that the server accepts. Files larger than its limit are refused without being sent.
   * @param {File[]} files
   * @param {Refusal[]} refused receives those files
   */
  *batches(files, refused) {
    const { max_bytes: maxFile = 64 << 20, max_body: maxBody = 256 << 20 } = this.session.server.limits;
    /** @type {File[]} */
    let batch = [];
    let bytes = 0;
    for (const file of files) {
      if (file.size > maxFile) {
        const found = `larger than ${Math.round(maxFile / 2 ** 20)} MiB`;
        refused.push({ name: file.name, found, remedy: "Add a smaller file" });
        continue;
      }
      if (batch.length === BATCH || (batch.length && bytes + file.size > maxBody * 0.9)) {
        yield batch;
        [batch, bytes] = [[], 0];
      }
      batch.push(file);
      bytes += file.size;
    }
    if (batch.length) yield batch;
  }

  /** @param {Refusal[]} refused */
  showRefused(refused) {
    const box = byId("refused");
    box.hidden = !refused.length;
    if (!refused.length) return;
    const lines = refused.map(({ name, found, remedy }) =>
      make("li", {}, [make("strong", { text: `${name}:` }), ` ${[found, remedy].filter(Boolean).join(". ")}`]));
    const close = () => {
      box.hidden = true;
    };
    const text = refused.length === 1 ? "1 file was not added:" : `${refused.length} files were not added:`;
    const button = make("button", { type: "button", text: "Close", onclick: close });
    box.replaceChildren(make("p", { text }), make("ul", {}, lines), button);
  }
}
