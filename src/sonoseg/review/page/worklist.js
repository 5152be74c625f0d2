/**
 * The worklist: filters, order, thumbnails and progress. It is read again regularly.
 */

import { byId, debounce, make } from "./dom.js";
import { Emitter } from "./events.js";
import { formatLesions } from "./format.js";
import { dismiss, showError } from "./notices.js";

const PAGE_SIZE = 60; // items
const POLL_BUSY = 1500; // ms between reads while an image is predicted
const POLL_IDLE = 12_000; // ms otherwise: other tabs and readers change the list too

const PREDICTION = { waiting: "waiting", running: "predicting", failed: "failed", none: "not predicted", done: "" };

/** Emits "choose" (id) where the reader picks an image, and "read" after each read. */
export class Worklist extends Emitter {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
    /** @type {Item[]} */
    this.items = [];
    this.total = 0;
    /** @type {Record<Status, number>} */
    this.counts = { new: 0, read: 0, signed: 0, referred: 0 };
    this.failed = 0;
    this.limit = PAGE_SIZE;
    /** @type {string | null} the id of the open image */
    this.openId = null;
    /** @type {Map<string, {element: HTMLElement, shown: string}>} the rows by id, and what each shows */
    this.rows = new Map();
    this.timer = 0;
    this.requests = 0;
    const restart = () => {
      this.limit = PAGE_SIZE;
      this.read();
    };
    byId("search").addEventListener("input", debounce(restart, 200));
    byId("status").addEventListener("change", restart);
    byId("sort").addEventListener("change", restart);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("more").addEventListener("click", () => {
      this.limit += PAGE_SIZE;
      this.read();
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.read());
  }

  /** The filters as the API takes them. */
  get query() {
    const [sort, direction] = byId("sort").value.split("-");
    const query = { sort, descending: direction === "down", offset: 0, limit: this.limit };
    const [status, search] = [byId("status").value, byId("search").value.trim()];
    return { ...query, ...(status && { status }), ...(search && { q: search }) };
  }

  /** Read the list and show it. The answer to an older request is ignored. */
  async read() {
    clearTimeout(this.timer);
    this.requests += 1;
    const request = this.requests;
    try {
      const { items, total, counts, failed } = await this.api.items(this.query);
      if (request !== this.requests) return;
      Object.assign(this, { items, total, counts, failed });
      dismiss("list");
      this.show();
      this.emit("read");
    } catch (error) {
      if (request === this.requests) showError(error, "list");
    } finally {
      if (request === this.requests) this.schedule();
    }
  }

  schedule() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const busy = this.items.some(({ prediction }) => prediction === "waiting" || prediction === "running");
    this.timer = window.setTimeout(() => this.read(), busy ? POLL_BUSY : POLL_IDLE);
  }

  /** The number of images, whatever the filters. */
  get size() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  show() {
    const box = byId("items");
    const rows = this.items.map((item) => this.row(item));
    if (rows.length !== box.children.length || rows.some((row, k) => row !== box.children[k])) {
      const focused = box.contains(document.activeElement) ? document.activeElement : null;
      box.replaceChildren(...rows);
      if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    }
    const ids = new Set(this.items.map((item) => item.id));
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id);
    byId("more").hidden = this.items.length >= this.total;
    byId("none").hidden = this.total > 0 || this.size === 0;
    this.showProgress();
  }

  showProgress() {
    const { size, counts } = this;
    const left = counts.new + counts.read;
    byId("progress-bar").value = size ? (size - left) / size : 0;
    const parts = [`${counts.signed} of ${size} signed`];
    if (counts.referred) parts.push(`${counts.referred} referred`);
    if (left) parts.push(`${left} to do`);
    if (this.failed) parts.push(`${this.failed} failed`);
    const text = size ? parts.join(", ") : "No images";
    byId("progress-text").textContent = text;
    byId("progress-text").title = text;
  }

  /** The row of an item: made once, then updated in place. @param {Item} item */
  row(item) {
    const isOpen = item.id === this.openId;
    const shown = JSON.stringify([item, isOpen]);
    const row = this.rows.get(item.id) ?? { element: this.makeRow(item), shown: "" };
    this.rows.set(item.id, row);
    if (row.shown === shown) return row.element;
    row.shown = shown;
    const button = /** @type {HTMLElement} */ (row.element.firstElementChild);
    const [, name, facts, bar] = /** @type {Iterable<HTMLElement>} */ (button.children);
    if (isOpen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    name.textContent = item.name;
    name.title = item.name;
    facts.replaceChildren(...this.facts(item));
    bar.hidden = item.uncertainty === null;
    /** @type {HTMLElement} */ (bar.firstElementChild).style.setProperty("--share", String(item.uncertainty ?? 0));
    return row.element;
  }

  /** @param {Item} item */
  makeRow({ id }) {
    const choose = () => this.emit("choose", id);
    const button = make("button", { type: "button", class: "item", onclick: choose }, [
      make("img", { alt: "", loading: "lazy", decoding: "async", src: this.api.thumbnail(id) }),
      make("span", { class: "name" }),
      make("span", { class: "facts" }),
      make("span", { class: "bar-of", "aria-hidden": "true" }, [make("span")]),
    ]);
    return make("li", { "data-id": id }, [button]);
  }

  /** @param {Item} item */
  facts(item) {
    const parts = [make("span", { class: "badge", "data-status": item.status, text: item.status })];
    const add = (/** @type {string} */ text, title = "") => parts.push(make("span", { text, title: title || null }));
    if (item.frame !== null) add(`frame ${item.frame + 1} of ${item.frames}`);
    if (item.prediction !== "done" && !item.revision) add(PREDICTION[item.prediction], item.failure ?? "");
    else if (item.lesions !== null) add(formatLesions(item.lesions));
    if (item.uncertainty !== null) add(`uncertainty ${item.uncertainty.toFixed(2)}`);
    return parts;
  }

  /** Mark the open image. @param {string} id */
  mark(id) {
    this.openId = id;
    this.show();
    this.rows.get(id)?.element.scrollIntoView({ block: "nearest" });
  }

  /** Update one item until the list is read again. @param {Partial<ItemDetails> & {id: string}} details */
  update({ findings: _findings, review: _review, model_threshold: _threshold, ...item }) {
    const at = this.items.findIndex(({ id }) => id === item.id);
    if (at < 0) return;
    this.items[at] = { ...this.items[at], ...item };
    this.show();
  }

  /** An item's neighbour in the shown order. @param {string | undefined} id @param {1 | -1} step */
  neighbour(id, step) {
    const at = this.items.findIndex((item) => item.id === id);
    return (at < 0 ? this.items[0] : this.items[at + step])?.id ?? null;
  }

  /** The next unfinished item after this one; from the top where none follows. @param {string} [id] */
  nextUnfinished(id) {
    const at = this.items.findIndex((item) => item.id === id);
    const order = [...this.items.slice(at + 1), ...this.items.slice(0, Math.max(0, at))];
    return order.find((item) => item.status === "new" || item.status === "read")?.id ?? null;
  }
}
