/**
 * What the parts of the page share: the server's settings, the open image and the reader. No DOM.
 */

import { Emitter } from "./events.js";
import { Stopwatch } from "./stopwatch.js";

/**
 * Emits "open" where another image is shown, "change" where the open image's item changed, and "server" where the
 * server's settings were read.
 */
export class Session extends Emitter {
  /**
   * @param {import("./api.js").Api} api
   * @param {() => string} reader the reader's initials
   */
  constructor(api, reader) {
    super();
    this.api = api;
    this.getReader = reader;
    this.stopwatch = new Stopwatch();
    /** @type {ServerInfo} */
    this.server = { version: "", research_only: "", read_only: false, pacs: false, limits: {}, model: null };
    /** @type {import("./image.js").ReviewImage | null} */
    this.image = null;
  }

  get reader() {
    return this.getReader();
  }

  get item() {
    return this.image?.item ?? null;
  }

  /** Whether the open image may be edited and described. */
  get isEditable() {
    return Boolean(this.item) && !this.server.read_only && this.item?.status !== "signed";
  }

  /** The names of the model's attention maps. */
  get attentionMaps() {
    return Array.from({ length: this.server.model?.gates ?? 0 }, (_, k) => `attention/${k + 1}`);
  }

  async readServer() {
    this.server = await this.api.about();
    this.emit("server");
  }

  /** @param {string} id */
  isOpen(id) {
    return this.image?.id === id;
  }

  /** Update the open item. Its findings stay those of the shown mask. @param {Partial<ItemDetails>} item */
  update({ findings: _findings, ...item }) {
    if (!this.image) return;
    Object.assign(this.image.item, item);
    this.emit("change");
  }
}
