/**
 * The page of the node's queue: asks for it every few seconds, and shows it. Nothing here changes anything.
 */

import { Api } from "./api.js";
import { byId, make } from "./dom.js";
import { switchTheme } from "./theme.js";
import { sayTime } from "./words.js";

const EVERY = 5000; // ms between two looks
const LATER = 30000; // where the server does not answer: at most
const ROWS = 100;
const STALE = 600; // s without a change, while something is due and the node runs, before the page says so
const STATES = { received: "received", segmented: "segmented", sent: "sent", "given-up": "given up" };

class Queue {
  constructor() {
    this.api = new Api();
    this.state = "";
    this.offset = 0;
    this.failed = 0;
    this.timer = 0;
    this.asked = 0; // the latest question's number: an older one's answer is not shown
    this.shown = ""; // what the table shows, so that it is left alone while nothing changed
    this.wire();
    this.look();
  }

  get byItself() {
    return byId("pause").getAttribute("aria-pressed") === "true";
  }

  wire() {
    byId("theme").addEventListener("click", switchTheme);
    byId("now").addEventListener("click", () => this.look());
    byId("pause").addEventListener("click", () => {
      byId("pause").setAttribute("aria-pressed", String(!this.byItself));
      if (this.byItself) this.look();
      else clearTimeout(this.timer);
    });
    for (const button of byId("states").children) {
      button.addEventListener("click", () => this.show(button.dataset.state, 0));
    }
    byId("newer").addEventListener("click", () => this.show(this.state, Math.max(0, this.offset - ROWS)));
    byId("older").addEventListener("click", () => this.show(this.state, this.offset + ROWS));
    document.addEventListener("visibilitychange", () => document.hidden || !this.byItself || this.look());
    this.api.addEventListener("token", () => byId("token-dialog").open || byId("token-dialog").showModal());
    byId("token-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await this.api.login(byId("token").value);
        byId("token").value = "";
        byId("token-state").textContent = "";
        byId("token-dialog").close();
        this.look();
      } catch (error) {
        byId("token-state").textContent = error.message;
      }
    });
  }

  /** Show the instances of a state, from the newest but `offset`. */
  show(state, offset) {
    this.state = state;
    this.offset = offset;
    for (const button of byId("states").children) {
      button.setAttribute("aria-pressed", String(button.dataset.state === state));
    }
    byId("rows").scrollTop = 0;
    this.look();
  }

  /** Ask, show, and ask again later. */
  async look() {
    clearTimeout(this.timer);
    const number = ++this.asked;
    const query = { offset: this.offset, limit: ROWS, ...(this.state && { state: this.state }) };
    let wait = EVERY;
    try {
      const found = await this.api.pacs(query);
      if (number !== this.asked) return;
      this.failed = 0;
      this.tell(found);
    } catch (error) {
      if (number !== this.asked) return;
      if (error.status === undefined) console.error(error);
      this.failed += 1;
      wait = Math.min(LATER, EVERY * 2 ** (this.failed - 1));
      this.node("down", error.status === 0 ? "The review server does not answer" : error.message);
      byId("facts").textContent = this.shown ? "What is shown is from before." : "";
    }
    if (this.byItself && !document.hidden) this.timer = setTimeout(() => this.look(), wait);
  }

  /** Say how the node is; a screen reader hears it when it changes. */
  node(state, text) {
    const place = byId("node");
    place.dataset.state = state;
    if (place.textContent !== text) place.textContent = text;
  }

  tell(found) {
    const { counts, total, rows } = found;
    const numbers = { ...counts, "given-up": counts.given_up };
    numbers[""] = counts.received + counts.segmented + counts.sent + counts.given_up;
    for (const button of byId("states").children) {
      const count = numbers[button.dataset.state];
      button.querySelector("b").textContent = count.toLocaleString();
      button.toggleAttribute("data-some", count > 0);
    }
    const waiting = counts.received + counts.segmented;
    if (found.working === false) {
      this.node("down", waiting ? `The node is down; ${waiting.toLocaleString()} wait` : "The node is down");
    } else if (waiting && quietFor(found) > STALE) {
      this.node("stale", "Nothing has moved for ten minutes");
    } else if (found.working) {
      this.node("up", "The node runs");
    } else {
      this.node("unknown", "Whether the node runs cannot be told here");
    }
    byId("facts").textContent = [
      waiting ? `${waiting.toLocaleString()} wait, the oldest since ${sayTime(found.waiting_since)}` : "Nothing waits",
      found.changed_at && `last change ${sayTime(found.changed_at)}`,
    ].filter(Boolean).join("; ");
    this.turn(total, rows.length);
    const text = JSON.stringify(rows);
    if (text === this.shown) return;
    this.shown = text;
    byId("body").replaceChildren(...rows.map(line));
    byId("none").hidden = rows.length > 0;
  }

  /** Where in the list this part is. */
  turn(total, length) {
    if (!length && total && this.offset) {
      this.show(this.state, 0); // what was there has gone elsewhere
      return;
    }
    byId("newer").disabled = this.offset === 0;
    byId("older").disabled = this.offset + length >= total;
    const [first, last] = [this.offset + 1, this.offset + length].map((one) => one.toLocaleString());
    byId("part").textContent = length ? `${first} to ${last} of ${total.toLocaleString()}` : "";
  }
}

/** Seconds since anything moved, or should have; by the clocks of both machines, which is good enough for minutes. */
function quietFor({ changed_at: changed, due_at: due }) {
  return (Date.now() - Math.max(new Date(changed), due ? new Date(due) : 0)) / 1000;
}

/** One instance as a line of the table. */
function line(row) {
  const cell = (label, content, name = "") => {
    const inside = typeof content === "string" ? make("span", { text: content }) : content;
    return make("td", { "data-label": label, class: inside.textContent ? name : `${name} blank` }, [inside]);
  };
  const badge = make("span", { class: "badge", "data-state": row.state, text: STATES[row.state] });
  return make("tr", {}, [
    cell("No.", row.number.toLocaleString()),
    cell("State", badge),
    cell("Instance", row.instance, "uid"),
    cell("Sender", row.sender || "not known", "sender"),
    cell("Received", sayTime(row.received_at), "time"),
    cell("Changed", sayTime(row.updated_at), "time"),
    cell("Tries", tries(row), "tries"),
    cell("Why", [row.why, row.next_at && `again ${sayTime(row.next_at)}`].filter(Boolean).join("; "), "why"),
  ]);
}

/** "begun 2 times, 3 failed, 1 refused" */
function tries(row) {
  const words = [
    [row.begun, row.begun === 1 ? "begun" : `begun ${row.begun} times`],
    [row.tries, `${row.tries} failed`],
    [row.refusals, `${row.refusals} refused`],
  ];
  return words.filter(([count]) => count).map(([, text]) => text).join(", ");
}

export const queue = new Queue();
