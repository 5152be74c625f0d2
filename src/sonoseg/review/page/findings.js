/**
 * What is in the mask: a card a lesion with its sizes, which follow while the reader draws, and the callipers.
 */

import { byId, icon, make } from "./dom.js";
import { length, sayLength } from "./geometry.js";
import { encodeGrey } from "./png.js";
import { sayFacts, saySize } from "./words.js";

const SOURCES = { edited: "the model's, edited by a reader", manual: "drawn by a reader" };

export class Findings extends EventTarget {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
    this.running = false;
    this.again = null;
    this.line = byId("found-line");
  }

  /** Show a picture's lesions. @param {import("./picture.js").Picture | null} picture */
  show(picture, { editable = false } = {}) {
    this.picture = picture;
    this.editable = editable;
    const lesions = picture?.findings ?? [];
    const item = picture?.item;
    const count = ["No lesion", "1 lesion"][lesions.length] ?? `${lesions.length} lesions`;
    const parts = picture ? [this.known ? count : "Not predicted yet"] : [];
    if (picture && item.doubt !== null) parts.push(`doubt ${item.doubt.toFixed(2)}`);
    if (picture && item.source in SOURCES) parts.push(SOURCES[item.source]);
    this.line.textContent = parts.join(", ");
    this.line.title = "Doubt is of the model's result: 0 sure, 1 in doubt";
    byId("lesions").replaceChildren(...lesions.map((lesion) => this.card(lesion)));
    const inPixels = lesions.some((lesion) => lesion.unit === "px") || (picture && !item.spacing);
    byId("found-note").textContent = inPixels && item.spacing_reason ? `No millimetres: ${item.spacing_reason}` : "";
    this.showCallipers();
  }

  /** Whether there is a mask to speak of. */
  get known() {
    const { item } = this.picture;
    return item.prediction === "done" || item.revision > 0 || this.picture.mask.data.includes(1);
  }

  card(lesion) {
    const name = `Delete lesion ${lesion.lesion}`;
    const remove = make("button", {
      type: "button",
      class: "icon",
      "aria-label": name,
      title: name,
      disabled: !this.editable,
      onclick: () => this.dispatchEvent(new CustomEvent("delete", { detail: lesion })),
    }, [icon("delete")]);
    const facts = sayFacts(lesion).map((text) => make("span", { text }));
    for (const fact of facts.slice(0, -1)) fact.append(make("br"));
    return make("li", {}, [
      make("div", {}, [
        make("span", { text: `${lesion.lesion}  ` }),
        make("strong", { text: saySize(lesion) }),
        make("p", { class: "facts" }, facts),
      ]),
      remove,
    ]);
  }

  showCallipers() {
    const { picture } = this;
    const rows = (picture?.callipers ?? []).map((calliper, k) => {
      const name = `Remove calliper ${k + 1}`;
      const remove = () => this.dispatchEvent(new CustomEvent("remove-calliper", { detail: calliper }));
      return make("li", {}, [
        make("span", { text: `Calliper ${k + 1}: ${sayLength(length(calliper.a, calliper.b, picture.spacing))}` }),
        make("button", { type: "button", class: "icon", "aria-label": name, title: name, onclick: remove }, [
          icon("delete"),
        ]),
      ]);
    });
    byId("callipers").replaceChildren(...rows);
  }

  /**
   * Measure the mask as it is now. One request is on its way at a time and the newest mask is measured next, so
   * sizes follow a stroke as fast as the server answers and no faster.
   */
  async measure() {
    const { picture } = this;
    if (!picture) return;
    if (this.running) {
      this.again = picture;
      return;
    }
    this.running = true;
    try {
      const version = picture.version;
      const png = await encodeGrey(picture.width, picture.height, picture.mask.toGrey());
      const { findings } = await this.api.measure(picture.id, png);
      // A slower answer does not replace a newer one.
      if (version >= (picture.measuredVersion ?? -1)) {
        picture.findings = findings;
        picture.measuredVersion = version;
        if (picture === this.picture) this.show(picture, { editable: this.editable });
        this.dispatchEvent(new Event("measured"));
      }
    } catch {
      // Sizes come again with the next stroke or with what is saved; drawing goes on.
    } finally {
      this.running = false;
      const again = this.again;
      this.again = null;
      if (again && again === this.picture) this.measure();
    }
  }
}
