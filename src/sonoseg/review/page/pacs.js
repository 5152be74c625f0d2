/**
 * The page of the DICOM node's queue: read-only, refreshed every few seconds.
 */

import { Api } from "./api.js";
import { byId, make } from "./dom.js";
import { formatTime } from "./format.js";
import { switchTheme } from "./theme.js";
import { connectTokenDialog } from "./token_dialog.js";

const INTERVAL = 5000; // ms between refreshes
const MAX_INTERVAL = 30_000; // ms, where the server does not answer
const PAGE_SIZE = 100; // rows
const STALE = 600; // s without a change, while an instance is due, after which the page warns
/** @type {Record<string, string>} */
const STATES = { received: "received", segmented: "segmented", sent: "sent", failed: "failed" };

class QueuePage {
  constructor() {
    this.api = new Api();
    this.state = ""; // of the shown instances; "": all
    this.offset = 0;
    this.failures = 0; // since the last answer
    this.timer = 0;
    this.requests = 0;
    this.shown = ""; // the rows of the table, which is left alone while nothing changed
    /** @type {NodeListOf<HTMLButtonElement>} */
    this.stateButtons = byId("states").querySelectorAll("button");
    this.connect();
    this.refresh();
  }

  get isAuto() {
    return byId("auto-refresh").getAttribute("aria-pressed") === "true";
  }

  connect() {
    const refresh = () => this.refresh();
    byId("theme").addEventListener("click", switchTheme);
    byId("refresh").addEventListener("click", refresh);
    byId("auto-refresh").addEventListener("click", () => {
      byId("auto-refresh").setAttribute("aria-pressed", String(!this.isAuto));
      if (this.isAuto) refresh();
      else clearTimeout(this.timer);
    });
    for (const button of this.stateButtons) {
      button.addEventListener("click", () => this.show(button.dataset.state ?? "", 0));
    }
    byId("newer").addEventListener("click", () => this.show(this.state, Math.max(0, this.offset - PAGE_SIZE)));
    byId("older").addEventListener("click", () => this.show(this.state, this.offset + PAGE_SIZE));
    document.addEventListener("visibilitychange", () => document.hidden || !this.isAuto || refresh());
    connectTokenDialog(this.api, refresh);
  }

  /** Show the instances of a state, newest first. @param {string} state "" for all @param {number} offset */
  show(state, offset) {
    this.state = state;
    this.offset = offset;
    for (const button of this.stateButtons) {
      button.setAttribute("aria-pressed", String(button.dataset.state === state));
    }
    byId("rows").scrollTop = 0;
    this.refresh();
  }

  /** Read the queue, show it, and schedule the next refresh. The answer to an older request is ignored. */
  async refresh() {
    clearTimeout(this.timer);
    this.requests += 1;
    const request = this.requests;
    const query = { offset: this.offset, limit: PAGE_SIZE, ...(this.state && { state: this.state }) };
    let interval = INTERVAL;
    try {
      const report = await this.api.pacs(query);
      if (request !== this.requests) return;
      this.failures = 0;
      this.showReport(report);
    } catch (/** @type {any} */ error) {
      if (request !== this.requests) return;
      if (error.status === undefined) console.error(error);
      interval = Math.min(MAX_INTERVAL, INTERVAL * 2 ** this.failures);
      this.failures += 1;
      this.showNode("down", error.status === 0 ? "The review server does not answer" : error.message);
      byId("summary").textContent = this.shown ? "The list is not up to date." : "";
    }
    if (this.isAuto && !document.hidden) this.timer = window.setTimeout(() => this.refresh(), interval);
  }

  /** Show the node's status; screen readers announce a change. @param {string} state @param {string} text */
  showNode(state, text) {
    byId("node").dataset.state = state;
    if (byId("node").textContent !== text) byId("node").textContent = text;
  }

  /** @param {QueueReport} report */
  showReport(report) {
    const { counts, total, rows } = report;
    const { received, segmented, sent, failed } = counts;
    /** @type {Record<string, number>} */
    const byState = { "": received + segmented + sent + failed, received, segmented, sent, failed };
    for (const button of this.stateButtons) {
      const count = byState[button.dataset.state ?? ""];
      button.querySelector("b")?.replaceChildren(count.toLocaleString());
      button.toggleAttribute("data-some", count > 0);
    }
    this.showStatus(report, received + segmented);
    this.showRange(total, rows.length);
    const shown = JSON.stringify(rows);
    if (shown === this.shown) return;
    this.shown = shown;
    byId("body").replaceChildren(...rows.map(tableRow));
    byId("none").hidden = rows.length > 0;
  }

  /** @param {QueueReport} report @param {number} waiting instances that are not finished */
  showStatus(report, waiting) {
    const count = `${waiting.toLocaleString()} waiting`;
    if (report.running === false) this.showNode("down", waiting ? `Node stopped; ${count}` : "Node stopped");
    else if (waiting && secondsOverdue(report) > STALE) this.showNode("stale", "No progress for ten minutes");
    else if (report.running) this.showNode("up", "Node running");
    else this.showNode("unknown", "Node status unknown");
    const summary = waiting ? `${count}, the oldest since ${formatTime(report.waiting_since)}` : "Nothing waiting";
    byId("summary").textContent = report.changed_at
      ? `${summary}; last change ${formatTime(report.changed_at)}` : summary;
  }

  /** Show which part of the list is shown. @param {number} total @param {number} length */
  showRange(total, length) {
    if (!length && total && this.offset) {
      this.show(this.state, 0); // the list became shorter
      return;
    }
    byId("newer").disabled = this.offset === 0;
    byId("older").disabled = this.offset + length >= total;
    const [first, last] = [this.offset + 1, this.offset + length].map((number) => number.toLocaleString());
    byId("range").textContent = length ? `${first} to ${last} of ${total.toLocaleString()}` : "";
  }
}

/** Seconds since the last change, or since one was due. The clocks of both machines differ by less than minutes. */
function secondsOverdue(/** @type {QueueReport} */ { changed_at: changed, due_at: due }) {
  return (Date.now() - Math.max(Date.parse(changed ?? "") || 0, Date.parse(due ?? "") || 0)) / 1000;
}

/** An instance as a row of the table. @param {QueueRow} row */
function tableRow(row) {
  const cell = (/** @type {string} */ label, /** @type {string} */ text, name = "", content = make("span", { text })) =>
    make("td", { "data-label": label, class: text ? name : `${name} blank` }, [content]);
  const badge = make("span", { class: "badge", "data-state": row.state, text: STATES[row.state] });
  const retry = row.next_at && `next attempt ${formatTime(row.next_at)}`;
  return make("tr", {}, [
    cell("No.", row.number.toLocaleString()),
    cell("State", STATES[row.state], "", badge),
    cell("Instance", row.instance, "uid"),
    cell("Sender", row.sender || "unknown", "sender"),
    cell("Received", formatTime(row.received_at), "time"),
    cell("Changed", formatTime(row.updated_at), "time"),
    cell("Attempts", formatAttempts(row), "attempts"),
    cell("Reason", [row.reason, retry].filter(Boolean).join("; "), "reason"),
  ]);
}

/** "started 2 times, 3 failed, 1 refused". @param {QueueRow} row */
function formatAttempts({ starts, attempts, refusals }) {
  const started = starts === 1 ? "started" : `started ${starts} times`;
  const parts = [starts && started, attempts && `${attempts} failed`, refusals && `${refusals} refused`];
  return parts.filter(Boolean).join(", ");
}

new QueuePage();
