/**
 * The review page: creates its parts and connects them.
 */

import { makeActions } from "./actions.js";
import { Api } from "./api.js";
import { Calibration } from "./calibration.js";
import { Clip } from "./clip.js";
import { Conflicts } from "./conflicts.js";
import { byId } from "./dom.js";
import { closeDrawers, connectDrawers } from "./drawers.js";
import { Editing } from "./editing.js";
import { connectExportDialog } from "./export_dialog.js";
import { FindingsPanel } from "./findings.js";
import { fillHelpDialog } from "./help_dialog.js";
import { ImageLoader } from "./image_loading.js";
import { Keyboard } from "./keyboard.js";
import { MaskSaver } from "./mask_saver.js";
import { showError } from "./notices.js";
import { Prediction } from "./prediction.js";
import { ReviewForm } from "./review_form.js";
import { RevisionList } from "./revision_list.js";
import { Session } from "./session.js";
import { Signing } from "./signing.js";
import { connectPixelReadout, connectSaveStatus, connectServerStatus } from "./status.js";
import { storage, tabId } from "./storage.js";
import { connectTokenDialog } from "./token_dialog.js";
import { Toolbar } from "./toolbar.js";
import { Upload } from "./upload.js";
import { Viewer } from "./viewer.js";
import { ViewerInput } from "./viewer_input.js";
import { Worklist } from "./worklist.js";

const readerName = () => byId("reader").value.trim();

const api = new Api();
const session = new Session(api, readerName);
const saver = new MaskSaver(api, storage, readerName, tabId());
const worklist = new Worklist(api);
const viewer = new Viewer(byId("canvas"), byId("canvas-second"));
const input = new ViewerInput(viewer);
const review = new ReviewForm(session, saver);
const findings = new FindingsPanel(session);
const toolbar = new Toolbar(session, viewer);
const upload = new Upload(session);
const revisions = new RevisionList(session, saver);
const prediction = new Prediction(session, saver, viewer);
const loader = new ImageLoader({ session, saver, viewer, review, prediction });
const signing = new Signing({ session, saver, review, worklist, loader });
const editing = new Editing({ session, saver, viewer, findings, worklist, signing });
const calibration = new Calibration({ session, saver });
const clip = new Clip(session, loader);
new Conflicts({ session, saver, viewer, review, worklist, loader });
const actions = makeActions({ session, viewer, input, worklist, loader, clip, editing, signing, toolbar });

/** Run a command of commands.js. @param {string} name */
function run(name, down = true) {
  actions[name](down);
  toolbar.showButtons();
}

function connectSession() {
  session.on("open", () => {
    if (!session.item) return;
    worklist.mark(session.item.id);
    const next = worklist.neighbour(session.item.id, 1);
    if (next) loader.greys.get(next).catch(() => {}); // the next image opens at once
  });
  session.on("change", () => {
    viewer.isEditable = session.isEditable;
    if (session.item) worklist.update(session.item);
  });
  findings.on("calibrate", (calliper) => calibration.open(calliper));
  calibration.on("calibrated", (item) => {
    if (!session.image) return;
    session.image.findings = item.findings ?? [];
    session.update(item);
    viewer.requestDraw();
  });
  review.on("saved", () => session.item?.status === "new" && session.update({ status: "read" }));
  signing.on("reopened", () => revisions.read());
}

function connectWorklist() {
  worklist.on("choose", (id) => {
    closeDrawers();
    loader.open(id);
  });
  worklist.on("read", () => {
    byId("welcome").hidden = worklist.size > 0 || session.image !== null;
  });
  upload.on("added", () => worklist.read());
  upload.on("done", async (added) => {
    await worklist.read();
    if (!session.image) loader.open(added[0]?.id);
  });
  byId("samples").addEventListener("click", addSamples);
  addEventListener("hashchange", () => {
    if (addressedId() && !session.isOpen(addressedId())) loader.open(addressedId());
  });
}

function connectControls() {
  for (const button of document.querySelectorAll("button[data-command]")) {
    button.addEventListener("click", () => run(/** @type {HTMLElement} */ (button).dataset.command ?? ""));
  }
  byId("review").addEventListener("submit", (event) => {
    event.preventDefault();
    run("sign");
  });
  byId("reader").value = storage.get("reader") ?? "";
  byId("reader").addEventListener("change", () => storage.set("reader", readerName()));
  byId("reader").addEventListener("input", () => byId("reader").removeAttribute("aria-invalid"));
  fillHelpDialog(new Keyboard(run, (event) => input.key(event)));
  connectDrawers();
  connectExportDialog(session, () => signing.settle());
  connectTokenDialog(api, () => (session.image ? saver.run() : start()));
  connectSaveStatus(saver, review);
  connectPixelReadout(viewer);
  connectServerStatus(session);
}

function connectWindow() {
  const { stopwatch } = session;
  const leave = () => {
    stopwatch.pause();
    review.flush();
  };
  for (const event of ["pointermove", "pointerdown", "keydown", "wheel"]) {
    addEventListener(event, () => stopwatch.tick(), { passive: true });
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : stopwatch.tick()));
  addEventListener("pagehide", leave);
  addEventListener("online", () => saver.run());
  addEventListener("beforeunload", (event) => {
    if (saver.anyPending && saver.unstored) event.preventDefault(); // the edit would be lost
  });
}

/** The id in the page's address. */
function addressedId() {
  return decodeURIComponent(location.hash.slice(1));
}

async function addSamples() {
  byId("samples").disabled = true;
  try {
    const { items } = await api.samples();
    await worklist.read();
    await loader.open(worklist.nextUnfinished() ?? items[0]?.id);
  } catch (error) {
    showError(error, "samples");
  } finally {
    byId("samples").disabled = false;
  }
}

async function start() {
  try {
    await session.readServer();
  } catch (error) {
    showError(error, "about");
    return;
  }
  await worklist.read();
  await loader.open(addressedId() || worklist.nextUnfinished() || worklist.items[0]?.id);
}

/** The parts of the page, for the browser's console and the tests. */
export const app = { session, saver, worklist, viewer, review, findings, signing, actions };

connectSession();
connectWorklist();
connectControls();
connectWindow();
start();
