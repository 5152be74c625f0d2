/**
 * Calibration by hand: the length in millimetres of a calliper that the reader drew along the depth ruler.
 */

import { byId } from "./dom.js";
import { Emitter } from "./events.js";
import { notice } from "./notices.js";

/** Emits "calibrated" (ItemDetails) with the item and its new sizes. */
export class Calibration extends Emitter {
  /** @param {Pick<Parts, "session" | "saver">} parts */
  constructor({ session, saver }) {
    super();
    this.session = session;
    this.saver = saver;
    /** @type {Calliper | null} */
    this.calliper = null;
    /** @type {Ruler | null} */
    this.ruler = null;
    session.on("open", () => this.findRuler());
    session.on("change", () => this.showRuler());
    byId("ruler-use").addEventListener("click", () => this.useRuler());
    byId("calibrate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /** Look for the depth ruler of an image without millimetres. */
  async findRuler() {
    const { image, api } = this.session;
    this.ruler = null;
    this.showRuler();
    if (!image || image.item.spacing) return;
    const ruler = await api.ruler(image.id).catch(() => null); // the reader can draw a calliper
    if (this.session.image !== image) return;
    this.ruler = ruler;
    this.showRuler();
  }

  showRuler() {
    const { ruler, session } = this;
    byId("ruler").hidden = !ruler || Boolean(session.item?.spacing) || !session.isEditable;
    if (ruler) byId("ruler-text").textContent = formatRuler(ruler);
  }

  /** Propose the ruler's length; the reader confirms or corrects it. */
  useRuler() {
    const { ruler } = this;
    if (!ruler) return;
    const [a, b] = ruler.ends.map(([y, x]) => ({ x, y }));
    this.open({ a, b }, (ruler.count - 1) * ruler.proposals[0].tick);
  }

  /** Ask for the length of a calliper. @param {Calliper} calliper @param {number | string} [millimetres] */
  open(calliper, millimetres = "") {
    this.calliper = calliper;
    byId("calibrate-length").value = String(millimetres);
    byId("calibrate-status").textContent = "";
    byId("calibrate").showModal();
    byId("calibrate-length").focus();
  }

  async submit() {
    const { session, calliper } = this;
    const { image } = session;
    if (!image || !calliper) return;
    const form = new FormData(byId("calibrate-form"));
    const millimetres = Number(String(form.get("millimetres")).replace(",", "."));
    const ends = [calliper.a, calliper.b].map(({ x, y }) => [y, x]);
    byId("calibrate-submit").disabled = true;
    try {
      if (!(await this.saver.settled(image.id))) throw new Error("The server does not answer. Try again.");
      const scope = String(form.get("scope"));
      const done = await session.api.calibrate(image.id, { ends, millimetres, scope, reader: session.reader });
      byId("calibrate").close();
      notice(formatDone(done), { key: "calibrate", seconds: 8 });
      if (session.image === image) this.emit("calibrated", done.item);
    } catch (/** @type {any} */ error) {
      byId("calibrate-status").textContent = error.message;
    } finally {
      byId("calibrate-submit").disabled = false;
    }
  }
}

/** @param {{changed: number, signed: number, own: number}} done */
export function formatDone({ changed, signed, own }) {
  const parts = [`Calibrated: ${changed} ${changed === 1 ? "image" : "images"}.`];
  if (signed) parts.push(`Signed and left: ${signed}.`);
  if (own) parts.push(`Left with a spacing of their own: ${own}.`);
  return parts.join(" ");
}

/** @param {Ruler} ruler */
export function formatRuler({ count, proposals: [{ tick, spacing }] }) {
  const length = (count - 1) * tick;
  const pixel = spacing.toPrecision(3);
  return `Depth ruler: ${count} ticks. If it is ${length} mm long, a pixel is ${pixel} mm. Compare it.`;
}
