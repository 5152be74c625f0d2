/**
 * The work list: filter, search, order, thumbnails, progress. Read again while something is being predicted.
 */

import { byId, later, make } from "./dom.js";
import { fault, forget } from "./notices.js";

const PART = 60; // items read at a time
const SOON = 1500; // ms between looks while something is predicted
const LATE = 12_000; // ms otherwise: another tab or reader may be at work

const WAITING = { waiting: "waiting", running: "predicting", failed: "failed", none: "not predicted" };

export class List extends EventTarget {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
    this.items = [];
    this.total = 0;
    this.counts = { new: 0, read: 0, signed: 0, referred: 0 };
    this.wanted = PART;
    this.open = null; // the id of the open picture
    this.rows = new Map();
    this.timer = 0;
    const again = () => {
      this.wanted = PART;
      this.read();
    };
    byId("search").addEventListener("input", later(again, 200));
    byId("status").addEventListener("change", again);
    byId("sort").addEventListener("change", again);
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("more").addEventListener("click", () => {
      this.wanted += PART;
      this.read();
    });
    document.addEventListener("visibilitychange", () => document.hidden || this.read());
  }

  /** What the list is asked for, as the API takes it. */
  get query() {
    const [sort, way] = byId("sort").value.split("-");
    const query = { sort, descending: way === "down", offset: 0, limit: this.wanted };
    if (byId("status").value) query.status = byId("status").value;
    if (byId("search").value.trim()) query.q = byId("search").value.trim();
    return query;
  }

  /** Read the list and show it. A newer call makes an older one's answer void. */
  async read() {
    clearTimeout(this.timer);
    const asked = (this.asked = Symbol("read"));
    try {
      const found = await this.api.items(this.query);
      if (asked !== this.asked) return;
      Object.assign(this, { items: found.items, total: found.total, counts: found.counts, failed: found.failed });
      forget("list");
      this.show();
      this.dispatchEvent(new Event("read"));
    } catch (error) {
      if (asked === this.asked) fault(error, "list");
    } finally {
      if (asked === this.asked) this.plan();
    }
  }

  plan() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const busy = this.items.some((item) => item.prediction === "waiting" || item.prediction === "running");
    this.timer = setTimeout(() => this.read(), busy ? SOON : LATE);
  }

  get everything() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  show() {
    const box = byId("items");
    const rows = this.items.map((item) => this.row(item));
    const same = rows.length === box.children.length && rows.every((row, k) => row === box.children[k]);
    if (!same) {
      const focused = box.contains(document.activeElement) ? document.activeElement : null;
      box.replaceChildren(...rows);
      focused?.focus({ preventScroll: true });
    }
    const ids = new Set(this.items.map((item) => item.id));
    for (const id of this.rows.keys()) if (!ids.has(id)) this.rows.delete(id);
    byId("more").hidden = this.items.length >= this.total;
    byId("none").hidden = this.total > 0 || this.everything === 0;
    this.progress();
  }

  progress() {
    const all = this.everything;
    const { signed, referred } = this.counts;
    byId("progress-bar").value = all ? (signed + referred) / all : 0;
    const left = this.counts.new + this.counts.read;
    const parts = [`${signed} of ${all} signed`];
    if (referred) parts.push(`${referred} referred`);
    if (left) parts.push(`${left} to do`);
    if (this.failed) parts.push(`${this.failed} without a prediction`);
    byId("progress-text").textContent = all ? parts.join(", ") : "No pictures yet";
    byId("progress-text").title = byId("progress-text").textContent;
  }

  /** The row of an item: made once, then kept up to date, so that nothing flickers. */
  row(item) {
    let row = this.rows.get(item.id);
    if (!row) {
      const button = make("button", { type: "button", class: "item", onclick: () => this.choose(item.id) }, [
        make("img", { alt: "", loading: "lazy", decoding: "async", src: this.api.thumbnail(item.id) }),
        make("span", { class: "name" }),
        make("span", { class: "facts" }),
        make("span", { class: "bar-of", "aria-hidden": "true" }, [make("span")]),
      ]);
      row = make("li", { "data-id": item.id }, [button]);
      this.rows.set(item.id, row);
    }
    const said = JSON.stringify([item, item.id === this.open]);
    if (row.said === said) return row;
    row.said = said;
    const [button] = row.children;
    const [, name, facts, bar] = button.children;
    button.toggleAttribute("aria-current", item.id === this.open);
    if (item.id === this.open) button.setAttribute("aria-current", "true");
    name.textContent = item.name;
    name.title = item.name;
    facts.replaceChildren(...this.facts(item));
    bar.hidden = item.doubt === null;
    bar.firstElementChild.style.setProperty("--share", String(item.doubt ?? 0));
    return row;
  }

  facts(item) {
    const parts = [make("span", { class: "badge", "data-status": item.status, text: item.status })];
    const add = (text, title) => parts.push(make("span", { text, title }));
    if (item.frame !== null) add(`frame ${item.frame + 1} of ${item.frames}`);
    if (item.prediction !== "done" && !item.revision) add(WAITING[item.prediction], item.failure);
    else if (item.lesions !== null) add(["no lesion", "1 lesion"][item.lesions] ?? `${item.lesions} lesions`);
    if (item.doubt !== null) add(`doubt ${item.doubt.toFixed(2)}`);
    return parts;
  }

  choose(id) {
    this.dispatchEvent(new CustomEvent("choose", { detail: id }));
  }

  /** Mark the open picture. */
  mark(id) {
    this.open = id;
    this.show();
    this.rows.get(id)?.scrollIntoView({ block: "nearest" });
  }

  /** Take in what was learnt of one item, until the list is read again. */
  update(item) {
    const at = this.items.findIndex((one) => one.id === item.id);
    if (at < 0) return;
    this.items[at] = { ...this.items[at], ...item };
    this.show();
  }

  /** The neighbour of an item in the list as it is shown. @param {1 | -1} way */
  neighbour(id, way) {
    const at = this.items.findIndex((item) => item.id === id);
    if (at < 0) return this.items[0]?.id ?? null;
    return this.items[at + way]?.id ?? null;
  }

  /** The next item after this one that nobody has signed or referred, from the top if there is none below. */
  nextToDo(id) {
    const at = this.items.findIndex((item) => item.id === id);
    const order = [...this.items.slice(at + 1), ...this.items.slice(0, Math.max(0, at))];
    return order.find((item) => item.status === "new" || item.status === "read")?.id ?? null;
  }
}
