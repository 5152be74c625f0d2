/**
 * The panel of findings: a card for each lesion with its measurements, updated while the reader draws, and the
 * callipers.
 */

import { byId, deleteButton, make } from "./dom.js";
import { Emitter } from "./events.js";
import { formatLength, formatLesions, formatMeasurements, formatSize, formatSpacing } from "./format.js";
import { measureLength } from "./viewport.js";

/** @type {Record<string, string>} */
const SOURCES = { edited: "model, edited by a reader", manual: "drawn by a reader" };

/**
 * Emits "measured", and "delete" (Lesion), "delete-calliper" and "calibrate" (Calliper) where the reader wants that.
 */
export class FindingsPanel extends Emitter {
  /** @param {import("./session.js").Session} session */
  constructor(session) {
    super();
    this.session = session;
    this.measuring = false;
    this.outdated = false; // the mask changed since the request that is under way
    session.on("change", () => this.show());
  }

  show() {
    const { image } = this.session;
    if (!image) return;
    const { item, findings } = image;
    const parts = [image.hasMask || !image.mask.isEmpty ? formatLesions(findings.length) : "not predicted"];
    if (item.uncertainty !== null) parts.push(`uncertainty ${item.uncertainty.toFixed(2)}`);
    if (item.source in SOURCES) parts.push(SOURCES[item.source]);
    byId("findings-summary").textContent = parts.join(", ");
    const warnings = byId("image-warnings");
    warnings.hidden = !item.warnings.length;
    warnings.replaceChildren(...item.warnings.map((text) => make("li", { text })));
    byId("lesions").replaceChildren(...findings.map((lesion) => this.card(lesion)));
    const inPixels = !item.spacing || findings.some((lesion) => lesion.unit === "px");
    byId("spacing-note").textContent = formatSpacing(item, inPixels);
    this.showCallipers();
  }

  /** @param {Lesion} lesion */
  card(lesion) {
    const facts = formatMeasurements(lesion).map((text) => make("span", { text }));
    for (const fact of facts.slice(0, -1)) fact.append(make("br"));
    const text = make("div", {}, [
      make("span", { text: `${lesion.lesion}  ` }),
      make("strong", { text: formatSize(lesion) }),
      make("p", { class: "facts" }, facts),
    ]);
    const remove = () => this.emit("delete", lesion);
    return make("li", {}, [text, deleteButton(`Delete lesion ${lesion.lesion}`, remove, !this.session.isEditable)]);
  }

  showCallipers() {
    const { image } = this.session;
    const rows = (image?.callipers ?? []).map((calliper, k) => {
      const length = formatLength(measureLength(calliper.a, calliper.b, image?.item.spacing ?? null));
      const remove = () => this.emit("delete-calliper", calliper);
      return make("li", {}, [
        make("span", { text: `Calliper ${k + 1}: ${length}` }),
        make("button", {
          type: "button",
          text: "Calibrate",
          title: "Enter the length of this calliper in millimetres",
          "aria-label": `Calibrate with calliper ${k + 1}`,
          disabled: !this.session.isEditable,
          onclick: () => this.emit("calibrate", calliper),
        }),
        deleteButton(`Delete calliper ${k + 1}`, remove),
      ]);
    });
    byId("callipers").replaceChildren(...rows);
  }

  /** Measure the present mask. One request at a time; the newest mask follows, so the sizes keep up with a stroke. */
  async measure() {
    const { image, api } = this.session;
    if (!image) return;
    this.outdated = this.measuring;
    if (this.measuring) return;
    this.measuring = true;
    try {
      const { version } = image;
      const { findings } = await api.measure(image.id, await image.mask.toPng());
      if (version < image.measuredVersion) return; // measured by a later save meanwhile
      image.findings = findings;
      image.measuredVersion = version;
      if (image === this.session.image) this.show();
      this.emit("measured");
    } catch {
      // The next stroke or save brings the sizes.
    } finally {
      this.measuring = false;
      if (this.outdated) this.measure();
    }
  }
}
