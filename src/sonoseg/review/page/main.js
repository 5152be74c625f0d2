/**
 * The review page: its parts, and how they work together.
 */

import { Api } from "./api.js";
import { byId, kept, later, make, speak } from "./dom.js";
import { makeExport } from "./export.js";
import { Findings } from "./findings.js";
import { makeHelp } from "./help.js";
import { Keys } from "./keys.js";
import { List } from "./list.js";
import { Mask } from "./mask.js";
import { fault, forget, notice } from "./notices.js";
import { Greys, greys, Picture } from "./picture.js";
import { Review } from "./review.js";
import { Saver } from "./saver.js";
import { Stopwatch } from "./stopwatch.js";
import { switchTheme } from "./theme.js";
import { Upload } from "./upload.js";
import { Viewer } from "./viewer.js";
import { saySeconds, sayTime } from "./words.js";

const POLL = 350; // ms between looks at an open picture that is being predicted
const EDITORS = ["click", "brush", "eraser", "polygon"];

/** A name of this tab that a reload keeps. */
function tabName() {
  try {
    sessionStorage.tab ||= Math.random().toString(36).slice(2, 10);
    return sessionStorage.tab;
  } catch {
    return "tab";
  }
}

class App {
  constructor() {
    this.api = new Api();
    this.about = { read_only: false, limits: {}, model: null };
    this.reader = byId("reader");
    this.reader.value = kept.get("reader") ?? "";
    const who = () => this.reader.value.trim();
    this.watch = new Stopwatch();
    this.saver = new Saver(this.api, kept, who, tabName());
    this.greys = new Greys(this.api);
    this.list = new List(this.api);
    this.upload = new Upload(this.api);
    this.viewer = new Viewer(byId("canvas"), byId("canvas-beside"));
    this.findings = new Findings(this.api);
    this.review = new Review(this.api, who, this.watch);
    this.keys = new Keys((name, down) => this.run(name, down), (event) => this.viewer.canvasKey(event));
    makeHelp(this.keys);
    this.openExport = makeExport(this.api, () => this.picture?.id ?? null, () => this.settle());
    this.histories = new Map(); // id -> undo steps, as long as the page is open
    this.opening = null; // the id that is wanted last
    this.wire();
  }

  /** @returns {Picture | null} the open one */
  get picture() {
    return this.viewer.picture;
  }

  get item() {
    return this.picture?.item ?? null;
  }

  /** Whether the open picture may be mended and described. */
  get editable() {
    return Boolean(this.item) && !this.about.read_only && this.item.status !== "signed";
  }

  /** The attention maps that the model has. */
  get gates() {
    return Array.from({ length: this.about.model?.gates ?? 0 }, (_, k) => `attention/${k + 1}`);
  }

  // Beginning

  async start() {
    try {
      this.about = await this.api.about();
    } catch (error) {
      if (error.status !== 401) fault(error, "about");
      return;
    }
    const { limits, read_only: closed } = this.about;
    byId("pacs-link").hidden = !this.about.pacs;
    this.sayAbout();
    Object.assign(this.upload.limits, limits);
    this.upload.closed = closed;
    for (const id of ["add-files", "add-folder", "samples"]) byId(id).disabled = closed;
    if (closed) this.showSaved("closed");
    this.showButtons();
    await this.list.read();
    const wanted = decodeURIComponent(location.hash.slice(1));
    const first = wanted || this.list.nextToDo(null) || this.list.items[0]?.id;
    if (first) await this.open(first);
  }

  sayAbout() {
    const { version, model, runtime, research_only: research } = this.about;
    byId("research").textContent = research;
    byId("about").textContent = [`sonoseg ${version}`, model && `model ${model.name} (${model.hash})`, runtime]
      .filter(Boolean).join(", ");
  }

  async learnModel() {
    this.about = await this.api.about();
    this.sayAbout();
    this.showButtons();
  }

  wire() {
    const on = (id, act) => byId(id).addEventListener("click", act);
    for (const button of document.querySelectorAll("[data-command]")) {
      button.addEventListener("click", () => this.run(button.dataset.command, true));
    }
    on("next", () => this.run("next"));
    on("previous", () => this.run("previous"));
    on("export-open", () => this.run("export"));
    on("theme", () => this.run("theme"));
    on("help-open", () => this.run("help"));
    on("refer", () => this.run("refer"));
    on("reopen", () => this.run("reopen"));
    on("pin", () => this.run("pin"));
    on("samples", () => this.samples());
    this.wireDrawers();
    this.wireToken();
    this.wireSliders();
    byId("review").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run("sign");
    });
    this.reader.addEventListener("change", () => {
      kept.set("reader", this.reader.value.trim());
      this.reader.removeAttribute("aria-invalid");
    });
    this.reader.addEventListener("input", () => this.reader.removeAttribute("aria-invalid"));
    this.list.addEventListener("choose", (event) => this.open(event.detail));
    this.list.addEventListener("read", () => this.listRead());
    this.upload.addEventListener("added", () => this.list.read());
    this.upload.addEventListener("done", async ({ detail }) => {
      await this.list.read();
      if (!this.picture && detail.length) this.open(detail[0].id);
    });
    this.wireViewer();
    this.wireSaving();
    const seen = () => this.watch.tick();
    for (const name of ["pointermove", "pointerdown", "keydown", "wheel"]) {
      addEventListener(name, seen, { passive: true });
    }
    document.addEventListener("visibilitychange", () => (document.hidden ? this.leave() : this.watch.tick()));
    addEventListener("pagehide", () => this.leave());
    addEventListener("online", () => this.saver.run());
    addEventListener("beforeunload", (event) => {
      // What waits is kept by the browser. Only where it cannot be kept is there anything to lose.
      if (this.saver.anything && this.saver.unkept) event.preventDefault();
    });
    addEventListener("hashchange", () => {
      const id = decodeURIComponent(location.hash.slice(1));
      if (id && id !== this.picture?.id) this.open(id);
    });
  }

  wireDrawers() {
    const drawer = (button, name) => {
      const open = (wanted) => {
        document.body.classList.toggle(name, wanted);
        byId(button).setAttribute("aria-expanded", String(wanted));
      };
      byId(button).addEventListener("click", () => open(!document.body.classList.contains(name)));
      return () => open(false);
    };
    const closers = [drawer("list-toggle", "list-open"), drawer("side-toggle", "side-open")];
    this.closeDrawers = () => closers.forEach((close) => close());
    byId("stage").addEventListener("pointerdown", this.closeDrawers);
    this.list.addEventListener("choose", this.closeDrawers);
  }

  wireToken() {
    this.api.addEventListener("token", () => byId("token-dialog").open || byId("token-dialog").showModal());
    byId("token-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await this.api.login(byId("token").value);
        byId("token").value = "";
        byId("token-state").textContent = "";
        byId("token-dialog").close();
        await (this.picture ? this.saver.run() : this.start());
      } catch (error) {
        byId("token-state").textContent = error.message;
      }
    });
  }

  wireSliders() {
    const { viewer } = this;
    const slide = (id, act) => byId(id).addEventListener("input", () => act(Number(byId(id).value)));
    slide("brush-size", (size) => viewer.setBrushSize(size));
    slide("window-width", (width) => viewer.setWindow({ ...this.picture.window, width }));
    slide("window-level", (level) => viewer.setWindow({ ...this.picture.window, level }));
    const soon = later((number) => this.openFrame(Number(byId("frame").value), number), 60);
    byId("frame").addEventListener("input", () => {
      this.sayFrame(Number(byId("frame").value));
      soon();
    });
    byId("beside-what").addEventListener("change", () => viewer.setBeside(true, byId("beside-what").value));
    viewer.setBrushSize(Number(kept.get("brush") ?? viewer.brushSize));
    this.showSliders();
  }

  wireViewer() {
    const { viewer, findings } = this;
    const on = (name, act) => viewer.addEventListener(name, act);
    on("live", () => findings.measure());
    on("edit", ({ detail }) => this.edited(detail.tool));
    on("locked", () => this.locked());
    on("window", () => this.showSliders());
    on("size", () => {
      kept.set("brush", viewer.brushSize);
      this.showSliders();
    });
    on("measured", ({ detail }) => {
      findings.showCallipers();
      if (detail?.done) this.keepCallipers();
    });
    on("click-asked", ({ detail }) => this.click(detail.points));
    findings.addEventListener("measured", () => viewer.ask());
    findings.addEventListener("delete", ({ detail }) => this.deleteLesion(detail));
    findings.addEventListener("remove-calliper", ({ detail }) => {
      this.picture.callipers = this.picture.callipers.filter((one) => one !== detail);
      viewer.measured();
    });
    byId("canvas").addEventListener("pointermove", () => this.readOut());
    byId("canvas").addEventListener("keyup", () => this.readOut());
  }

  wireSaving() {
    const { saver, review } = this;
    saver.addEventListener("state", ({ detail }) => this.showSaved(detail));
    saver.addEventListener("saved", ({ detail }) => this.maskSaved(detail));
    saver.addEventListener("failed", ({ detail }) => {
      const kept = "What you drew is kept here and sent as soon as it can be.";
      fault(Object.assign(detail.error, { message: `${detail.error.message} ${kept}` }), "saving");
    });
    saver.addEventListener("conflict", ({ detail }) => this.conflict(detail));
    review.addEventListener("conflict", ({ detail }) => this.reviewConflict(detail));
    review.addEventListener("changed", () => saver.anything || this.showSaved("saving"));
    review.addEventListener("saved", () => {
      if (!saver.anything && !review.changed) this.showSaved("saved");
      if (this.item?.status === "new") this.learn({ status: "read" });
    });
  }

  // Opening pictures

  /** Open an item of the list. What is said of the last one is saved on the way. */
  async open(id) {
    if (!id) return;
    this.opening = id;
    const leaving = this.review.flush();
    this.keepSpent();
    try {
      const [item, grey] = await Promise.all([this.api.item(id), this.greys.get(id), leaving]);
      if (this.opening !== id) return; // another was chosen meanwhile
      const picture = new Picture(this.api, item, grey);
      await this.readMasks(picture);
      if (this.opening !== id) return;
      await this.show(picture);
    } catch (error) {
      if (this.opening === id) fault(error, "open");
    }
  }

  /** Bring a picture's masks from the server, or what was drawn and not yet saved. */
  async readMasks(picture) {
    const { item, id } = picture;
    const has = item.prediction === "done" || item.revision > 0;
    const [current, model] = await Promise.all([
      has ? picture.readMask("current") : new Mask(picture.width, picture.height),
      item.prediction === "done" ? picture.readMask("model") : null,
    ]);
    picture.mask = current;
    picture.model = model;
    picture.callipers = JSON.parse(kept.get(`callipers.${id}`) ?? "[]");
    const waiting = this.saver.line(id).waiting.at(-1);
    if (waiting) picture.mask = waiting.mask.copy(); // drawn before, and still on its way
    this.saver.know(id, item.revision);
    const history = this.histories.get(id);
    // Undo goes on where it was, unless the mask was changed elsewhere meanwhile.
    if (history?.mask.equals(picture.mask)) picture.history = history.steps;
  }

  async show(picture) {
    const { item } = picture;
    forget("open");
    if (this.picture) this.rememberHistory();
    byId("welcome").hidden = true;
    history.replaceState(null, "", `#${encodeURIComponent(item.id)}`);
    document.title = `${item.name} - sonoseg review`;
    byId("name").textContent = item.name;
    byId("name").title = item.name;
    this.watch.start(item.review?.seconds ?? 0);
    await this.viewer.show(picture);
    this.review.show(item, () => this.saver.revision(item.id), { editable: this.editable });
    this.list.mark(item.id);
    this.showItem();
    this.showClip();
    this.showSliders();
    this.readHistory();
    speak(`${item.name}, ${item.status}`);
    this.bringBack(picture);
    this.follow(picture);
    const next = this.list.neighbour(item.id, 1);
    if (next) this.greys.get(next).catch(() => {});
  }

  /** What was drawn in this picture and never reached the server. */
  bringBack(picture) {
    const { id } = picture;
    const left = this.viewer.before ? null : this.saver.left(id);
    if (!left) {
      // Another tab's edit of just now is on its way to the server, unless that tab is gone: look again.
      const wait = this.viewer.before ? 1000 : this.saver.leftIn(id);
      if (wait !== null) setTimeout(() => this.picture === picture && this.bringBack(picture), wait);
      return;
    }
    this.saver.forgetLeft(left.name);
    if (left.mask.width !== picture.width || left.mask.height !== picture.height) return;
    if (left.mask.equals(picture.mask)) return;
    if (left.revision === picture.item.revision && this.editable) {
      this.viewer.replace(left.mask, left.tool);
      notice("What you drew last was not saved yet. It is back, and saved now.", { key: "back", seconds: 12 });
      return;
    }
    const bring = () => this.picture === picture && this.viewer.replace(left.mask, left.tool);
    notice("A mask of this picture was drawn here and never saved, and another was saved since.", {
      key: "back",
      choices: { "Use the one drawn here": bring, "Leave it": () => {} },
    });
  }

  /** An open picture without a prediction is predicted before all others; its mask comes when it is there. */
  async follow(picture) {
    const { id } = picture;
    const open = () => this.picture === picture;
    byId("waiting").hidden = true;
    try {
      let { prediction } = picture.item;
      if (!this.about.read_only && prediction !== "done" && prediction !== "failed") {
        await this.askFor(picture);
      }
      while (open() && ["none", "waiting", "running"].includes(picture.item.prediction) && !this.about.read_only) {
        byId("waiting").textContent = "The model is looking at it";
        byId("waiting").hidden = false;
        await new Promise((done) => setTimeout(done, POLL));
        if (!open()) return;
        Object.assign(picture.item, await this.api.item(id));
      }
      if (!open()) return;
      byId("waiting").hidden = true;
      prediction = picture.item.prediction;
      if (prediction === "failed") {
        notice(`The model could not read this picture: ${picture.item.failure}`, { key: "open", bad: true });
      }
      if (prediction === "done" && !picture.model) await this.takeModel(picture);
    } catch (error) {
      byId("waiting").hidden = true;
      if (open()) fault(error, "open");
    }
  }

  /** Ask for the prediction; a full queue says when to ask again. */
  async askFor(picture) {
    for (;;) {
      try {
        Object.assign(picture.item, await this.api.predict(picture.id));
        return;
      } catch (error) {
        if (error.status !== 503 || this.picture !== picture) throw error;
        byId("waiting").textContent = "The model is busy. It will look at this next.";
        byId("waiting").hidden = false;
        await new Promise((done) => setTimeout(done, (error.retryAfter ?? 2) * 1000));
      }
    }
  }

  /** The model's result has come for the open picture. */
  async takeModel(picture) {
    const { id, item } = picture;
    // Read anew: an answer that merely says "done" has no lesions with it.
    const [model, now] = await Promise.all([picture.readMask("model"), this.api.item(id)]);
    picture.model = model;
    Object.assign(item, now);
    if (!this.about.model) await this.learnModel(); // it was still being loaded when the page opened
    if (this.picture !== picture) return;
    const untouched = item.revision === 0 && !this.saver.pending(id) && !picture.history.canUndo
      && !this.viewer.before;
    if (untouched) {
      picture.mask.become(picture.model);
      picture.changed();
      picture.findings = item.findings ?? [];
    }
    this.saver.know(id, item.revision);
    this.showItem();
    this.list.update(plain(item));
    await this.viewer.refresh();
  }

  rememberHistory() {
    const { picture } = this;
    this.histories.set(picture.id, { steps: picture.history, mask: picture.mask.copy() });
  }

  async samples() {
    byId("samples").disabled = true;
    try {
      const { items } = await this.api.samples();
      await this.list.read();
      const first = this.list.nextToDo(null) ?? items[0]?.id;
      if (first) await this.open(first);
    } catch (error) {
      fault(error, "samples");
    } finally {
      byId("samples").disabled = false;
    }
  }

  /** The list was read again: another tab or reader may have changed the open picture. */
  listRead() {
    byId("welcome").hidden = this.list.everything > 0 || Boolean(this.picture);
    const { picture } = this;
    const now = picture && this.list.items.find((item) => item.id === picture.id);
    if (!now) return;
    const mine = this.saver.revision(picture.id);
    if (now.revision > mine && !this.saver.pending(picture.id) && !this.viewer.before) {
      notice(`${now.reader || "Somebody"} changed this picture elsewhere at ${sayTime(now.updated_at)}.`, {
        key: "elsewhere",
        choices: { "Show it": () => this.open(picture.id), "Not now": () => {} },
      });
    } else if (now.revision === mine && now.status !== picture.item.status) {
      this.learn(now);
    }
  }

  // Mending

  edited(tool) {
    const { picture, saver } = this;
    saver.save(picture.id, picture.mask, tool, this.watch.lap());
    this.findings.measure();
    this.showItem();
  }

  locked() {
    const why = this.about.read_only ? "This server is read-only." : "This picture is signed. Reopen it to change it.";
    const choices = this.about.read_only ? null : { Reopen: () => this.run("reopen"), Close: () => {} };
    notice(why, { key: "locked", seconds: 8, choices });
  }

  async maskSaved({ id, last, revision, findings, lesions }) {
    forget("saving");
    this.list.update({ id, revision, lesions });
    const { picture } = this;
    if (picture?.id !== id) return;
    picture.item.revision = revision;
    if (picture.item.status === "new" || picture.item.status === "referred") picture.item.status = "read";
    if (last && !this.viewer.before) {
      picture.findings = findings;
      picture.measuredVersion = picture.version;
      this.viewer.ask();
    }
    if (last) {
      const item = await this.api.item(id).catch(() => null);
      if (item && this.picture === picture && !this.saver.pending(id)) this.learn(item);
      this.readHistory();
    }
  }

  /** Smart click: what is drawn is saved first, since the server works on what it has. */
  async click(points) {
    const { picture, viewer } = this;
    const clicks = viewer.tools.click.points;
    const asked = (this.clicked = Symbol("click"));
    try {
      if (!(await this.saver.settled(picture.id))) throw new Error("The server does not answer. Draw with the brush.");
      const read = await greys(await this.api.click(picture.id, points, "current"));
      if (this.picture !== picture || asked !== this.clicked || viewer.before) return;
      const changed = viewer.replace(Mask.fromGrey(read), "click");
      if (!changed) speak("The click changed nothing");
    } catch (error) {
      clicks.pop();
      viewer.ask();
      fault(error, "click");
    }
  }

  deleteLesion(lesion) {
    // A place that is certainly of this lesion: its middle may lie outside it, or in a hole.
    const { mask } = this.picture;
    const { top, left, height, width } = lesion.box;
    const [row, column] = lesion.centroid.map(Math.round);
    if (mask.has(row, column)) {
      this.viewer.removeLesion(row, column);
      return;
    }
    const [end] = lesion.longest_axis_ends;
    for (let far = 0; far <= 2; far += 1) {
      for (let r = Math.round(end[0]) - far; r <= Math.round(end[0]) + far; r += 1) {
        for (let c = Math.round(end[1]) - far; c <= Math.round(end[1]) + far; c += 1) {
          const inside = r >= top && c >= left && r < top + height && c < left + width;
          if (inside && mask.has(r, c)) {
            this.viewer.removeLesion(r, c);
            return;
          }
        }
      }
    }
  }

  /** The mask was saved elsewhere since ours was made from it. Nothing is sent until the reader says which. */
  async conflict({ id, current }) {
    const picture = this.picture?.id === id ? this.picture : null;
    const item = await this.api.item(id).catch(() => null);
    const revision = item?.revision ?? current?.revision;
    const by = item?.reader || current?.reader || "another tab";
    const name = item?.name ?? id;
    if (picture) {
      this.viewer.theirs = await picture.readMask("current").catch(() => null);
      this.viewer.ask();
    }
    const done = () => {
      this.viewer.theirs = null;
      this.viewer.ask();
    };
    const mine = () => {
      done();
      this.saver.keepMine(id, revision);
    };
    const theirs = async () => {
      const theirMask = this.viewer.theirs;
      done();
      this.saver.takeTheirs(id, revision);
      if (this.picture !== picture || !picture) return;
      // Ours becomes a step back: undo brings it on again.
      if (theirMask) {
        const before = picture.mask.copy();
        picture.mask.become(theirMask);
        picture.changed();
        picture.history.record(before, picture.mask, "theirs");
      }
      if (item) this.learn({ ...item, findings: item.findings });
      picture.findings = item?.findings ?? picture.findings;
      this.showItem();
      this.viewer.ask();
    };
    const where = picture ? "Theirs is the dashed contour; yours is kept." : "";
    notice(`${name} was changed elsewhere (by ${by}) while you drew. ${where}`, {
      key: `conflict-${id}`,
      choices: { "Keep mine": mine, "Take theirs": theirs },
    });
  }

  /** What was said of the picture was changed elsewhere, or its mask was. */
  async reviewConflict({ id, current }) {
    if (this.picture?.id !== id) return;
    const item = await this.api.item(id);
    if (current.version === undefined && !this.saver.pending(id)) {
      // Only the mask moved on: what is said of it stays the reader's to decide, with the new mask in sight.
      notice("The mask was changed elsewhere while you wrote. Your words are kept here.", {
        key: "review",
        choices: { "Show it and save my words": () => this.againWithMine(id, item) },
      });
      return;
    }
    notice("Somebody else described this picture while you did.", {
      key: "review",
      choices: {
        "Keep my words": () => {
          this.review.version = item.review?.version ?? null;
          this.review.changed = true;
          this.review.save();
        },
        "Take theirs": () => this.review.show(item, () => this.saver.revision(id), { editable: this.editable }),
      },
    });
  }

  async againWithMine(id, item) {
    const { values } = this.review;
    await this.open(id);
    if (this.picture?.id !== id) return;
    for (const [name, value] of Object.entries(values)) this.review.set(name, value);
    this.review.version = item.review?.version ?? null;
    this.review.changed = true;
    this.review.heads();
    await this.review.save();
  }

  // Signing

  /** Everything of the open picture is with the server. @returns {Promise<boolean>} */
  async settle() {
    if (!this.picture) return true;
    const { id } = this.picture;
    const saved = await this.saver.settled(id);
    return (await this.review.flush()) && saved;
  }

  /** @param {"sign" | "refer" | "reopen"} what */
  async sign(what) {
    const { picture } = this;
    if (!picture || this.about.read_only || this.signing) return;
    if (!this.reader.value.trim()) {
      this.reader.setAttribute("aria-invalid", "true");
      this.reader.focus();
      notice("Enter your initials first.", { key: "reader", seconds: 6 });
      return;
    }
    this.signing = true;
    try {
      // The time spent belongs to what is signed, whether or not anything was said.
      if (what !== "reopen" && this.editable) this.review.changed = true;
      if (!(await this.settle())) return;
      const json = { reader: this.reader.value.trim() };
      if (what === "refer") json.comment = byId("comment").value.trim();
      const item = await this.api.status(picture.id, what, json, this.saver.revision(picture.id));
      this.list.counts[this.item.status] -= 1;
      this.list.counts[item.status] += 1;
      this.learn(item);
      speak(`${item.name} ${item.status}`);
      const next = what === "reopen" ? null : this.list.nextToDo(picture.id);
      if (next) await this.open(next);
      else if (what !== "reopen") notice("Nothing is left to do in this list.", { key: "done", seconds: 8 });
      else this.readHistory();
    } catch (error) {
      if (error.status === 412) await this.open(picture.id);
      fault(error, "sign");
    } finally {
      this.signing = false;
    }
  }

  /** The page is being left: what was said is sent now, the browser brings it even when the page is gone. */
  leave() {
    this.watch.pause();
    this.review.flush();
  }

  keepSpent() {
    if (this.picture && this.editable && this.review.changed) this.review.save();
  }

  // Showing

  /** Take in what was learnt of the open item. */
  learn(item) {
    const { picture } = this;
    const { findings: _findings, ...rest } = item;
    Object.assign(picture.item, rest);
    this.list.update(plain({ ...picture.item }));
    this.showItem();
  }

  showItem() {
    const { item, picture, editable } = this;
    this.viewer.editable = editable;
    this.findings.show(picture, { editable });
    this.review.suggest(picture.findings[0]);
    this.review.enable(editable);
    const isSigned = item.status === "signed";
    const isDone = isSigned || item.status === "referred";
    const closed = this.about.read_only;
    byId("sign").hidden = isSigned;
    byId("refer").hidden = isDone;
    byId("reopen").hidden = !isDone;
    for (const id of ["sign", "refer", "reopen"]) byId(id).disabled = closed;
    byId("signed-line").textContent = isSigned
      ? `Signed by ${item.reader}, ${sayTime(item.signed_at)}`
      : item.status === "referred" ? `Referred by ${item.reader}` : "";
    this.showButtons();
    this.showBesideChoice();
  }

  showButtons() {
    const { viewer, picture, editable } = this;
    const { history: steps } = picture ?? { history: null };
    const pressed = {
      outline: viewer.on.outline,
      doubt: viewer.on.doubt,
      sizes: viewer.on.sizes,
      probability: viewer.overlay === "probability",
      attention: Boolean(viewer.overlay?.startsWith("attention")),
      beside: viewer.besideOn,
    };
    const closed = {
      undo: !steps?.canUndo || !editable,
      redo: !steps?.canRedo || !editable,
      restore: !picture?.model || !editable,
      "no-lesion": !editable,
    };
    for (const button of document.querySelectorAll("[data-command]")) {
      const { command } = button.dataset;
      if (command in pressed) button.setAttribute("aria-pressed", String(pressed[command]));
      else if (command in viewer.tools) button.setAttribute("aria-pressed", String(command === viewer.toolName));
      if (command in closed) button.disabled = closed[command];
      if (EDITORS.includes(command)) button.setAttribute("aria-disabled", String(!editable));
      if (command === "attention") {
        button.hidden = !this.gates.length;
        const gate = viewer.overlay?.startsWith("attention") ? ` ${viewer.overlay.split("/")[1]}` : "";
        button.textContent = `Attention${gate}`;
      }
    }
  }

  showSliders() {
    const { width, level } = this.picture?.window ?? { width: 255, level: 127.5 };
    const { brushSize } = this.viewer;
    byId("brush-size").value = brushSize;
    byId("brush-size-text").textContent = `${brushSize} px`;
    byId("window-width").value = width;
    byId("window-width-text").textContent = Math.round(width);
    byId("window-level").value = level;
    byId("window-level-text").textContent = Math.round(level);
  }

  showBesideChoice() {
    const choices = [["picture", "picture alone"], ["model", "model's mask"], ["probability", "probability"]];
    choices.push(...this.gates.map((name, k) => [name, `attention ${k + 1}`]));
    if (this.viewer.pinned) choices.push(["pinned", `pinned: ${this.viewer.pinned.item.name}`]);
    const box = byId("beside-what");
    box.replaceChildren(...choices.map(([value, text]) => make("option", { value, text })));
    box.value = this.viewer.beside.content;
    byId("pane-beside").hidden = !this.viewer.besideOn;
  }

  showSaved(state) {
    const words = {
      saved: "All saved",
      saving: "Saving",
      offline: "Not saved yet: trying again",
      conflict: "Changed elsewhere: choose",
      closed: "Read-only",
    };
    byId("saved").dataset.state = state;
    byId("saved").textContent = words[state];
  }

  showClip() {
    const { item } = this;
    const isClip = item.frames > 1;
    byId("clip").hidden = !isClip;
    if (!isClip) return;
    byId("frame").max = item.frames - 1;
    byId("frame").value = item.frame;
    this.sayFrame(item.frame);
  }

  sayFrame(frame) {
    byId("frame-text").textContent = `frame ${frame + 1} of ${this.item.frames}`;
    byId("frame").setAttribute("aria-valuetext", byId("frame-text").textContent);
  }

  openFrame(frame) {
    const { item } = this;
    if (!item || item.frames < 2) return;
    const wanted = Math.min(item.frames - 1, Math.max(0, frame));
    if (wanted !== item.frame) this.open(`${item.clip}-${String(wanted).padStart(5, "0")}`);
  }

  /** Where the pointer is, and the grey there. */
  readOut() {
    const { picture, viewer } = this;
    const at = viewer.cross ?? viewer.pointer;
    const line = byId("reading");
    if (!picture || !at) {
      line.textContent = "";
      return;
    }
    const [row, column] = [Math.floor(at.y), Math.floor(at.x)];
    const inside = row >= 0 && column >= 0 && row < picture.height && column < picture.width;
    const grey = inside ? `, grey ${picture.values[row * picture.width + column]}` : "";
    const depth = picture.spacing && inside ? `, ${(at.y * picture.spacing[0]).toFixed(1)} mm down` : "";
    line.textContent = inside ? `row ${row}, column ${column}${grey}${depth}` : "";
  }

  async readHistory() {
    const { picture } = this;
    if (!byId("past").open || !picture) return;
    try {
      const { entries } = await this.api.history(picture.id);
      if (this.picture !== picture) return;
      const said = (entry) => [
        sayTime(entry.at), entry.reader, entry.tool ?? entry.action, `revision ${entry.revision}`,
        entry.seconds ? saySeconds(entry.seconds) : null,
      ].filter(Boolean).join(", ");
      byId("history").replaceChildren(...entries.toReversed().map((entry) => make("li", { text: said(entry) })));
    } catch (error) {
      fault(error, "history");
    }
  }

  keepCallipers() {
    const { id, callipers } = this.picture;
    if (callipers.length) kept.set(`callipers.${id}`, JSON.stringify(callipers));
    else kept.remove(`callipers.${id}`);
  }

  // Commands

  /** Do a command of keys.js. @param {boolean} [down] for those that last while a key is held */
  run(name, down = true) {
    const act = this.commands[name];
    if (act) act(down);
    else if (name in this.viewer.tools) this.chooseTool(name);
    this.showButtons();
  }

  chooseTool(name) {
    if (EDITORS.includes(name) && this.picture && !this.editable) {
      this.locked();
      return;
    }
    this.viewer.setTool(name);
    speak(byId("tools").querySelector(`[data-command="${name}"]`).getAttribute("aria-label"));
  }

  get commands() {
    const { viewer, list, picture } = this;
    const mend = (act) => () => (this.editable ? act() : picture && this.locked());
    const frame = (step) => () => this.item && this.openFrame(this.item.frame + step);
    const toggle = (what) => () => {
      viewer.on[what] = !viewer.on[what];
      viewer.refresh();
    };
    return {
      next: () => this.open(list.neighbour(picture?.id, 1)),
      previous: () => this.open(list.neighbour(picture?.id, -1)),
      "next-to-do": () => this.open(list.nextToDo(picture?.id)),
      search: () => {
        document.body.classList.add("list-open");
        byId("search").focus();
      },
      add: () => this.about.read_only || byId("files").click(),
      export: () => this.openExport(),
      sign: () => this.sign("sign"),
      refer: () => this.sign("refer"),
      reopen: () => this.sign("reopen"),
      reader: () => this.reader.select(),
      describe: () => this.goSide(() => document.querySelector("#descriptors input").focus()),
      comment: () => this.goSide(() => byId("comment").focus()),
      smaller: () => viewer.stepBrushSize(-1),
      larger: () => viewer.stepBrushSize(1),
      undo: mend(() => viewer.step("undo")),
      redo: mend(() => viewer.step("redo")),
      "delete-lesion": mend(() => this.deleteHere()),
      "no-lesion": mend(() => viewer.clearMask()),
      restore: mend(() => picture.model && viewer.replace(picture.model, "model")),
      hide: (down) => {
        viewer.hidden = down;
        viewer.ask();
      },
      grab: (down) => {
        viewer.grab = down;
      },
      outline: toggle("outline"),
      doubt: toggle("doubt"),
      sizes: toggle("sizes"),
      probability: () => this.setOverlay(viewer.overlay === "probability" ? null : "probability"),
      attention: () => this.setOverlay(this.gates[this.gates.indexOf(viewer.overlay) + 1] ?? null),
      beside: () => this.setBeside(!viewer.besideOn),
      pin: () => this.pin(),
      "zoom-in": () => viewer.zoom(1.25),
      "zoom-out": () => viewer.zoom(0.8),
      fit: () => viewer.fit(),
      "one-to-one": () => {
        viewer.main.viewport.zoomTo(1);
        viewer.ask();
      },
      "window-reset": () => viewer.resetWindow(),
      "frame-back": frame(-1),
      "frame-on": frame(1),
      "frames-back": frame(-10),
      "frames-on": frame(10),
      "frame-first": () => this.openFrame(0),
      "frame-last": () => this.item && this.openFrame(this.item.frames - 1),
      picture: () => byId("canvas").focus(),
      help: () => byId("help").showModal(),
      theme: () => switchTheme(),
      cancel: () => {
        if (!viewer.cancel()) document.activeElement?.blur();
        this.closeDrawers();
        viewer.ask();
      },
    };
  }

  goSide(act) {
    document.body.classList.add("side-open");
    byId("side-toggle").setAttribute("aria-expanded", "true");
    act();
  }

  deleteHere() {
    const at = this.viewer.cross ?? this.viewer.pointer;
    if (at && this.picture.mask.has(Math.floor(at.y), Math.floor(at.x))) {
      this.viewer.removeLesion(Math.floor(at.y), Math.floor(at.x));
    } else if (this.picture.findings.length === 1) {
      this.deleteLesion(this.picture.findings[0]);
    } else {
      speak("No lesion under the pointer");
    }
  }

  async setOverlay(name) {
    this.viewer.overlay = name;
    try {
      await this.viewer.refresh();
      if (name && this.picture && !this.picture.mapShown) speak("There is no such map of this picture");
    } catch (error) {
      this.viewer.overlay = null;
      fault(error, "overlay");
    }
    this.showButtons();
  }

  async setBeside(on) {
    byId("pane-beside").hidden = !on;
    await this.viewer.setBeside(on).catch((error) => fault(error, "overlay"));
    if (this.picture) this.showBesideChoice();
  }

  async pin() {
    if (!this.picture) return;
    this.viewer.pinned = this.picture;
    this.viewer.beside.content = "pinned";
    await this.setBeside(true);
  }
}

/** An item as the list has it, without what only the open one knows. */
function plain({ findings: _findings, review: _review, model_threshold: _threshold, ...item }) {
  return item;
}

export const app = new App();
byId("past").addEventListener("toggle", () => app.readHistory());
app.start();
