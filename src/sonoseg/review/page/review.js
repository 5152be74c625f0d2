/**
 * What the reader says of a picture: descriptors, comment, time. Saved as it is picked.
 */

import { byId, later, make } from "./dom.js";
import { forget, notice } from "./notices.js";
import { DESCRIPTORS, saySeconds } from "./words.js";

const FIELDS = [...DESCRIPTORS.map(({ name }) => name), "comment"];

export class Review extends EventTarget {
  /**
   * @param {import("./api.js").Api} api
   * @param {() => string} reader
   * @param {import("./stopwatch.js").Stopwatch} watch
   */
  constructor(api, reader, watch) {
    super();
    this.api = api;
    this.reader = reader;
    this.watch = watch;
    this.id = null;
    this.revision = () => 0;
    this.form = byId("review");
    this.busy = null;
    this.changed = false;
    byId("descriptors").replaceChildren(...DESCRIPTORS.map((one) => this.field(one)));
    this.soon = later(() => this.save(), 500);
    this.form.addEventListener("input", () => {
      this.changed = true;
      this.soon();
      this.heads();
      this.dispatchEvent(new Event("changed"));
    });
    setInterval(() => this.time(), 1000);
  }

  field({ name, title, words, meanings = {} }) {
    const picks = words.map((word) => {
      const input = make("input", { type: "radio", name, value: word });
      // A second click on the same word takes it back: "not said" has no button of its own.
      input.addEventListener("click", () => {
        if (input.was) {
          input.checked = false;
          input.dispatchEvent(new Event("input", { bubbles: true }));
        }
        for (const other of this.form.querySelectorAll(`input[name="${name}"]`)) other.was = other.checked;
      });
      if (meanings[word]) input.setAttribute("aria-label", `${word}, ${meanings[word]}`);
      return make("label", { class: "pick", title: meanings[word] }, [input, make("span", { text: word })]);
    });
    const legend = make("legend", { "data-of": name }, [make("b", { text: title })]);
    return make("fieldset", { "data-name": name }, [legend, make("div", { class: "picks" }, picks)]);
  }

  /** Show what was said of an item. @param {object} item @param {() => number} revision its mask's, of now */
  show(item, revision, { editable }) {
    this.id = item.id;
    this.item = item;
    this.revision = revision;
    this.version = item.review?.version ?? null;
    this.changed = false;
    this.soon.drop();
    for (const name of FIELDS) this.set(name, item.review?.[name] ?? null);
    this.enable(editable);
    this.heads();
    this.time();
  }

  enable(editable) {
    for (const element of this.form.querySelectorAll("#descriptors input, textarea")) element.disabled = !editable;
  }

  set(name, value) {
    if (name === "comment") {
      byId("comment").value = value ?? "";
      return;
    }
    for (const input of this.form.querySelectorAll(`input[name="${name}"]`)) {
      input.checked = input.value === value;
      input.was = input.checked;
    }
  }

  get values() {
    const data = new FormData(this.form);
    // Disabled inputs are not in the form's data.
    const picked = (name) => this.form.querySelector(`input[name="${name}"]:checked`)?.value ?? null;
    const values = Object.fromEntries(DESCRIPTORS.map(({ name }) => [name, picked(name)]));
    return { ...values, comment: String(data.get("comment") ?? byId("comment").value) };
  }

  /** Mark the words that were measured: a dashed border suggests, the reader decides. */
  suggest(lesion) {
    for (const { name, finding } of DESCRIPTORS) {
      if (!finding) continue;
      for (const input of this.form.querySelectorAll(`input[name="${name}"]`)) {
        const measured = Boolean(lesion) && lesion[finding] === input.value;
        input.parentElement.classList.toggle("measured", measured);
        if (measured) input.parentElement.title = "measured";
        else input.parentElement.removeAttribute("title");
      }
    }
  }

  /** Each title with the word that was picked, or its meaning. */
  heads() {
    const { values } = this;
    for (const { name, title, meanings } of DESCRIPTORS) {
      const said = meanings?.[values[name]];
      const legend = this.form.querySelector(`legend[data-of="${name}"]`);
      legend.replaceChildren(make("b", { text: title }), said ? ` ${said}` : "");
    }
  }

  time() {
    byId("time-spent").textContent = this.id ? `Time spent: ${saySeconds(this.watch.seconds)}` : "";
  }

  /** Save now if anything changed. @returns {Promise<boolean>} whether all is with the server */
  async flush() {
    this.soon.drop();
    while (this.busy) await this.busy;
    return this.changed ? this.save() : true;
  }

  save() {
    this.busy = this.send().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  async send() {
    const { id } = this;
    this.changed = false;
    const review = { reader: this.reader(), ...this.values, seconds: this.watch.seconds, version: this.version };
    try {
      const saved = await this.api.saveReview(id, review, this.revision());
      forget("review");
      if (id !== this.id) return true;
      this.version = saved.version ?? null;
      this.dispatchEvent(new Event("saved"));
      return true;
    } catch (error) {
      if (id === this.id) this.changed = true;
      this.failed(id, error);
      return false;
    }
  }

  failed(id, error) {
    if (error.status === 412 && error.current) {
      this.dispatchEvent(new CustomEvent("conflict", { detail: { id, current: error.current } }));
      return;
    }
    notice(`What you said is not saved: ${error.message}`, {
      key: "review",
      bad: true,
      choices: { "Save again": () => id === this.id && this.save() },
    });
    if (error.passing) setTimeout(() => id === this.id && this.changed && !this.busy && this.save(), 4000);
  }
}
