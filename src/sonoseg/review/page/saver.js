/**
 * Saving as it happens.
 *
 * Every finished edit goes into a queue and from there to the server, one at a time, in order. Until the server
 * has it, the newest mask also lies in the browser's own store: a closed tab, or a server that is away, loses
 * nothing that was drawn. A mask made from an older revision than the server's is never forced upon it: the
 * reader is asked (event "conflict").
 *
 * No DOM but events, timers and the store that is given.
 */

import { Mask } from "./mask.js";
import { encodeGrey } from "./png.js";

const WAITS = [1, 2, 4, 8, 15]; // seconds between tries while the server is away
const OTHER_TAB = 10_000; // ms after which another tab's unsaved edit counts as left behind

export class Saver extends EventTarget {
  /**
   * @param {import("./api.js").Api} api
   * @param {{get: Function, set: Function, remove: Function, names: Function}} store
   * @param {() => string} reader the reader's initials of now
   * @param {string} tab a name of this tab that a reload keeps
   */
  constructor(api, store, reader, tab) {
    super();
    this.api = api;
    this.store = store;
    this.reader = reader;
    this.tab = tab;
    this.lines = new Map(); // id -> what waits for an item
    this.tries = 0;
    this.timer = 0;
    this.busy = null;
    this.conflict = null;
    this.state = "saved";
  }

  line(id) {
    if (!this.lines.has(id)) this.lines.set(id, { id, revision: 0, waiting: [], held: false });
    return this.lines.get(id);
  }

  /** The revision that the next edit of an item is made from. */
  revision(id) {
    return this.line(id).revision;
  }

  /** The server said which revision is there; taken over unless edits wait that were made from another. */
  know(id, revision) {
    const line = this.line(id);
    if (!line.waiting.length) line.revision = revision;
  }

  pending(id) {
    return this.line(id).waiting.length > 0;
  }

  get anything() {
    return [...this.lines.values()].some((line) => line.waiting.length);
  }

  name(id, tab = this.tab) {
    return `unsaved.${id}.${tab}`;
  }

  /**
   * Save an edit. Returns at once.
   * @param {string} id
   * @param {Mask} mask as it is now; it is copied
   * @param {string} tool
   * @param {number} seconds since the last edit
   */
  save(id, mask, tool, seconds) {
    const line = this.line(id);
    const edit = { mask: mask.copy(), tool, seconds };
    line.waiting.push(edit);
    const { width, height } = mask;
    const kept = { revision: line.revision, width, height, runs: mask.toRuns(), tool, at: Date.now() };
    this.unkept = !this.store.set(this.name(id), JSON.stringify(kept));
    this.run();
  }

  /**
   * What was drawn in an item and never reached the server: of this tab before a reload, or of a tab that is gone.
   * @returns {{mask: Mask, revision: number, tool: string, name: string} | null}
   */
  left(id) {
    if (this.pending(id)) return null;
    const names = this.store.names(`unsaved.${id}.`);
    names.sort((a, b) => Number(b === this.name(id)) - Number(a === this.name(id)));
    for (const name of names) {
      try {
        const found = JSON.parse(this.store.get(name));
        if (name !== this.name(id) && Date.now() - found.at < OTHER_TAB) continue;
        const mask = Mask.fromRuns(found.width, found.height, found.runs);
        return { mask, revision: found.revision, tool: found.tool, name };
      } catch {
        this.store.remove(name); // not ours, or cut off in the middle
      }
    }
    return null;
  }

  /** Until another tab's unsaved edit of an item counts as left behind, in ms; null where there is none. */
  leftIn(id) {
    const ages = this.store.names(`unsaved.${id}.`).filter((name) => name !== this.name(id)).map((name) => {
      try {
        return Date.now() - JSON.parse(this.store.get(name)).at;
      } catch {
        return OTHER_TAB;
      }
    });
    const youngest = Math.min(...ages);
    return youngest < OTHER_TAB ? OTHER_TAB - youngest : null;
  }

  forgetLeft(name) {
    this.store.remove(name);
  }

  /** Send what waits; while it runs, asking again does nothing. */
  run() {
    if (this.busy) return this.busy;
    this.busy = this.send().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  /** Wait until everything of an item is with the server. @returns {Promise<boolean>} whether it is */
  async settled(id) {
    while (this.pending(id) && this.state === "saving") await this.run();
    return !this.pending(id);
  }

  async send() {
    clearTimeout(this.timer);
    let line;
    while ((line = [...this.lines.values()].find((one) => one.waiting.length && !one.held))) {
      this.tell("saving");
      try {
        await this.sendOne(line);
        this.tries = 0;
      } catch (error) {
        this.failed(line, error);
        return;
      }
    }
    this.tell([...this.lines.values()].some((one) => one.held) ? "conflict" : "saved");
  }

  async sendOne(line) {
    const edit = line.waiting[0];
    const png = await encodeGrey(edit.mask.width, edit.mask.height, edit.mask.toGrey());
    const { tool, seconds } = edit;
    const revision = line.revision;
    const answer = await this.api.saveMask(line.id, png, { revision, reader: this.reader(), tool, seconds });
    line.waiting.shift();
    line.revision = answer.revision;
    if (!line.waiting.length) this.store.remove(this.name(line.id));
    else this.keepBase(line);
    this.dispatchEvent(new CustomEvent("saved", { detail: { id: line.id, last: !line.waiting.length, ...answer } }));
  }

  /** The newest mask that is kept stands on the revision just saved. */
  keepBase(line) {
    const kept = JSON.parse(this.store.get(this.name(line.id)) ?? "null");
    if (kept) this.store.set(this.name(line.id), JSON.stringify({ ...kept, revision: line.revision }));
  }

  failed(line, error) {
    if (error.status === 412) {
      line.held = true;
      this.tell("conflict");
      const mine = line.waiting.at(-1).mask;
      this.dispatchEvent(new CustomEvent("conflict", { detail: { id: line.id, mine, current: error.current } }));
      if (this.anythingFree) this.timer = setTimeout(() => this.run(), 0);
      return;
    }
    this.tell("offline");
    this.dispatchEvent(new CustomEvent("failed", { detail: { id: line.id, error } }));
    // Whatever it was, the edit stays in the queue and is tried again: a disk may be emptied, a token given.
    const wait = error.retryAfter ?? WAITS[Math.min(this.tries, WAITS.length - 1)];
    this.tries += 1;
    this.timer = setTimeout(() => this.run(), wait * 1000);
  }

  get anythingFree() {
    return [...this.lines.values()].some((line) => line.waiting.length && !line.held);
  }

  /** The answer to a conflict: put the newest of ours on top of what is there. */
  keepMine(id, revision) {
    const line = this.line(id);
    line.waiting = line.waiting.slice(-1);
    line.revision = revision;
    line.held = false;
    this.keepBase(line);
    this.run();
  }

  /** The answer to a conflict: leave what is there. Ours is dropped from the queue. */
  takeTheirs(id, revision) {
    const line = this.line(id);
    line.waiting = [];
    line.revision = revision;
    line.held = false;
    this.store.remove(this.name(id));
    this.tell(this.anything ? "saving" : "saved");
    this.run();
  }

  tell(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
