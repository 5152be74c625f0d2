/**
 * The review form: descriptors, comment and reading time of the open image. Saved as the reader fills it in.
 */

import { DESCRIPTORS } from "./bi_rads.js";
import { byId, debounce, make } from "./dom.js";
import { Emitter } from "./events.js";
import { formatDuration } from "./format.js";
import { dismiss, notice } from "./notices.js";

/** Emits "input", "saved", and "conflict" where another reader saved a review of the image meanwhile. */
export class ReviewForm extends Emitter {
  /**
   * @param {import("./session.js").Session} session
   * @param {import("./mask_saver.js").MaskSaver} saver
   */
  constructor(session, saver) {
    super();
    this.session = session;
    this.saver = saver;
    /** @type {string | null} the id of the image */
    this.id = null;
    /** @type {number | null} of the review that the form shows */
    this.version = null;
    /** @type {Promise<boolean> | null} */
    this.busy = null;
    this.changed = false;
    this.form = byId("review");
    /** @type {Map<string, HTMLInputElement[]>} the radio buttons of each descriptor */
    this.inputs = new Map();
    /** @type {Record<string, string | null>} the values before the present click */
    this.picked = {};
    byId("descriptors").replaceChildren(...DESCRIPTORS.map((descriptor) => this.makeField(descriptor)));
    this.saveSoon = debounce(() => this.save(), 500);
    this.form.addEventListener("input", () => {
      this.changed = true;
      this.saveSoon();
      this.showMeanings();
      this.emit("input");
    });
    setInterval(() => this.showTime(), 1000);
    session.on("open", () => this.show());
    session.on("change", () => this.showItem());
  }

  /** @param {(typeof DESCRIPTORS)[number]} descriptor */
  makeField({ name, title, terms, meanings = {} }) {
    const inputs = terms.map((term) => {
      const input = make("input", { type: "radio", name, value: term });
      if (meanings[term]) input.setAttribute("aria-label", `${term}, ${meanings[term]}`);
      return input;
    });
    const picks = inputs.map((input) => {
      // A second click on a picked term clears it.
      input.addEventListener("click", () => {
        if (this.picked[name] !== input.value) return;
        input.checked = false;
        input.dispatchEvent(new Event("input", { bubbles: true }));
      });
      const text = make("span", { text: input.value });
      return make("label", { class: "pick", title: meanings[input.value] }, [input, text]);
    });
    this.inputs.set(name, inputs);
    const legend = make("legend", { "data-of": name }, [make("b", { text: title })]);
    return make("fieldset", { "data-name": name }, [legend, make("div", { class: "picks" }, picks)]);
  }

  /** Show the saved review of the open image. */
  show() {
    const { item } = this.session;
    if (!item) return;
    this.id = item.id;
    this.version = item.review?.version ?? null;
    this.changed = false;
    this.saveSoon.cancel();
    this.setValues(item.review ?? {});
    this.showItem();
    this.showTime();
  }

  /** Lock or unlock the form, and mark the terms that the measurements suggest. */
  showItem() {
    const { isEditable, image } = this.session;
    for (const input of [...this.inputs.values()].flat()) input.disabled = !isEditable;
    byId("comment").disabled = !isEditable;
    const lesion = image?.findings[0];
    for (const { name, measurement } of DESCRIPTORS) {
      if (!measurement) continue;
      for (const input of this.inputs.get(name) ?? []) {
        const suggested = /** @type {any} */ (lesion)?.[measurement] === input.value;
        const label = /** @type {HTMLElement} */ (input.parentElement);
        label.classList.toggle("measured", suggested);
        label.title = suggested ? "measured" : "";
      }
    }
  }

  /** @param {Record<string, any>} review a term for each descriptor, and the comment */
  setValues(review) {
    for (const [name, inputs] of this.inputs) {
      for (const input of inputs) input.checked = input.value === review[name];
    }
    byId("comment").value = review.comment ?? "";
    this.showMeanings();
  }

  /** @returns {Record<string, string | null>} the picked term of each descriptor, and the comment */
  get values() {
    const picked = [...this.inputs].map(([name, inputs]) => [name, inputs.find((one) => one.checked)?.value ?? null]);
    return { ...Object.fromEntries(picked), comment: byId("comment").value };
  }

  /** Note the picked terms, and show the meaning of each beside its title. */
  showMeanings() {
    const { values } = this;
    this.picked = values;
    for (const { name, title, meanings } of DESCRIPTORS) {
      const meaning = meanings?.[values[name] ?? ""];
      const legend = this.form.querySelector(`legend[data-of="${name}"]`);
      legend?.replaceChildren(make("b", { text: title }), meaning ? ` ${meaning}` : "");
    }
  }

  showTime() {
    byId("time-spent").textContent = this.id ? `Reading time: ${formatDuration(this.session.stopwatch.seconds)}` : "";
  }

  /** Save now if anything changed. @returns {Promise<boolean>} whether the server has all */
  async flush() {
    this.saveSoon.cancel();
    while (this.busy) await this.busy;
    return this.changed ? this.save() : true;
  }

  /** @returns {Promise<boolean>} whether it was saved */
  save() {
    this.busy = this.send().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  /** Save the form upon another version of the review than it shows. @param {number | null} version */
  saveOver(version) {
    this.version = version;
    this.changed = true;
    return this.save();
  }

  async send() {
    const { id, session } = this;
    if (!id) return true;
    this.changed = false;
    const { reader, stopwatch, api } = session;
    const review = { reader, ...this.values, seconds: stopwatch.seconds, version: this.version };
    try {
      const saved = await api.saveReview(id, review, this.saver.revision(id));
      dismiss("review");
      if (id !== this.id) return true;
      this.version = saved.version ?? null;
      this.emit("saved");
      return true;
    } catch (error) {
      if (id === this.id) this.changed = true;
      this.handleFailure(id, error);
      return false;
    }
  }

  /** @param {string} id @param {any} error */
  handleFailure(id, error) {
    if (error.status === 412 && error.current) {
      this.emit("conflict", { id, current: error.current });
      return;
    }
    const retry = () => id === this.id && this.changed && !this.busy && this.save();
    const choices = { "Save again": retry };
    notice(`The review is not saved: ${error.message}`, { key: "review", error: true, choices });
    if (error.isTemporary) setTimeout(retry, 4000);
  }
}
