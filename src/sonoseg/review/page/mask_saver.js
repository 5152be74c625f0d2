/**
 * Saving of mask edits.
 *
 * Each edit joins its image's queue and is sent in order, one at a time. Until the server has it, the newest mask
 * is also in the browser's storage, so that neither a closed tab nor an unreachable server loses a finished edit.
 * A mask made from an older revision than the server's is not sent: "conflict" asks the reader.
 *
 * Emits "state" (saved, saving, offline or conflict), "saved", "failed" and "conflict". No DOM.
 */

import { Emitter } from "./events.js";
import { Mask } from "./mask.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15];
const ABANDONED = 10_000; // ms after which another tab's unsaved edit counts as abandoned

/**
 * The edits of one image that wait for the server. `held`: until the reader has resolved a conflict.
 * @typedef {object} Queue
 * @property {string} id
 * @property {number} revision that the first waiting edit was made from
 * @property {{mask: Mask, tool: EditTool, seconds: number}[]} waiting
 * @property {boolean} held
 */

export class MaskSaver extends Emitter {
  /**
   * @param {import("./api.js").Api} api
   * @param {typeof import("./storage.js").storage} storage
   * @param {() => string} reader the reader's initials
   * @param {string} tab an identifier of this tab that a reload keeps
   */
  constructor(api, storage, reader, tab) {
    super();
    this.api = api;
    this.storage = storage;
    this.reader = reader;
    this.tab = tab;
    /** @type {Map<string, Queue>} by the image's id */
    this.queues = new Map();
    this.failures = 0; // since the last success
    this.timer = 0;
    /** @type {Promise<void> | null} */
    this.busy = null;
    this.state = "saved";
    this.unstored = false; // the browser refused to store the newest mask
  }

  /** @param {string} id */
  queue(id) {
    const queue = this.queues.get(id) ?? { id, revision: 0, waiting: [], held: false };
    this.queues.set(id, queue);
    return queue;
  }

  /** The revision that the next edit is made from. @param {string} id */
  revision(id) {
    return this.queue(id).revision;
  }

  /** Note the server's revision, unless edits wait. @param {string} id @param {number} revision */
  setRevision(id, revision) {
    const queue = this.queue(id);
    if (!queue.waiting.length) queue.revision = revision;
  }

  /** @param {string} id */
  isPending(id) {
    return this.queue(id).waiting.length > 0;
  }

  get anyPending() {
    return [...this.queues.values()].some((queue) => queue.waiting.length);
  }

  /** The name of an image's unsaved mask in the storage. @param {string} id */
  key(id, tab = this.tab) {
    return `unsaved.${id}.${tab}`;
  }

  /**
   * Save an edit; returns at once.
   * @param {string} id
   * @param {Mask} mask is copied
   * @param {EditTool} tool
   * @param {number} seconds that the edit took
   */
  save(id, mask, tool, seconds) {
    const queue = this.queue(id);
    queue.waiting.push({ mask: mask.copy(), tool, seconds });
    const { width, height } = mask;
    const stored = { revision: queue.revision, width, height, runs: mask.toRuns(), tool, at: Date.now() };
    this.unstored = !this.storage.set(this.key(id), JSON.stringify(stored));
    this.run();
  }

  /**
   * An unsaved mask of an image: of this tab before a reload, or of a tab that is closed.
   * @param {string} id
   * @returns {{mask: Mask, revision: number, tool: EditTool, key: string} | null}
   */
  findUnsaved(id) {
    if (this.isPending(id)) return null;
    const keys = this.storage.names(this.key(id, ""));
    keys.sort((a, b) => Number(b === this.key(id)) - Number(a === this.key(id)));
    for (const key of keys) {
      try {
        const { width, height, runs, revision, tool, at } = JSON.parse(this.storage.get(key) ?? "");
        if (key !== this.key(id) && Date.now() - at < ABANDONED) continue;
        return { mask: Mask.fromRuns(width, height, runs), revision, tool, key };
      } catch {
        this.storage.remove(key); // damaged
      }
    }
    return null;
  }

  /** Milliseconds until another tab's unsaved mask counts as abandoned; null where there is none. @param {string} id */
  untilAbandoned(id) {
    const ages = this.storage.names(this.key(id, "")).filter((key) => key !== this.key(id)).map((key) => {
      try {
        return Date.now() - JSON.parse(this.storage.get(key) ?? "").at;
      } catch {
        return ABANDONED;
      }
    });
    const youngest = Math.min(...ages);
    return youngest < ABANDONED ? ABANDONED - youngest : null;
  }

  /** Forget an unsaved mask. @param {string} key */
  discard(key) {
    this.storage.remove(key);
  }

  /** Send what waits. */
  run() {
    this.busy ??= this.sendAll().finally(() => {
      this.busy = null;
    });
    return this.busy;
  }

  /** Wait until the server has all edits of an image. @param {string} id @returns {Promise<boolean>} whether it has */
  async settled(id) {
    while (this.isPending(id) && this.state === "saving") await this.run();
    return !this.isPending(id);
  }

  /** The first queue that may be sent. */
  get sendable() {
    return [...this.queues.values()].find((queue) => queue.waiting.length && !queue.held);
  }

  async sendAll() {
    clearTimeout(this.timer);
    for (let queue = this.sendable; queue; queue = this.sendable) {
      this.setState("saving");
      try {
        await this.sendFirst(queue);
        this.failures = 0;
      } catch (error) {
        this.handleFailure(queue, error);
        return;
      }
    }
    this.setState([...this.queues.values()].some((queue) => queue.held) ? "conflict" : "saved");
  }

  /** @param {Queue} queue */
  async sendFirst(queue) {
    const { id, revision } = queue;
    const { mask, tool, seconds } = queue.waiting[0];
    const answer = await this.api.saveMask(id, await mask.toPng(), { revision, reader: this.reader(), tool, seconds });
    queue.waiting.shift();
    queue.revision = answer.revision;
    this.storeRevision(queue);
    this.emit("saved", { id, isLast: !queue.waiting.length, ...answer });
  }

  /** The stored mask is made from the queue's revision now; forget it where nothing waits. @param {Queue} queue */
  storeRevision({ id, revision, waiting }) {
    if (!waiting.length) {
      this.discard(this.key(id));
      return;
    }
    const stored = JSON.parse(this.storage.get(this.key(id)) ?? "null");
    if (stored) this.storage.set(this.key(id), JSON.stringify({ ...stored, revision }));
  }

  /** @param {Queue} queue @param {any} error */
  handleFailure(queue, error) {
    if (error.status === 412) {
      queue.held = true;
      this.setState("conflict");
      this.emit("conflict", { id: queue.id, current: error.current });
      if (this.sendable) this.timer = window.setTimeout(() => this.run(), 0);
      return;
    }
    this.setState("offline");
    this.emit("failed", error);
    // Whatever the reason, the edit is sent again: the disk may be cleared, the token entered.
    const seconds = error.retryAfter ?? RETRY_SECONDS[Math.min(this.failures, RETRY_SECONDS.length - 1)];
    this.failures += 1;
    this.timer = window.setTimeout(() => this.run(), seconds * 1000);
  }

  /**
   * Resolve a conflict.
   * @param {string} id
   * @param {number} revision of the server
   * @param {"mine" | "theirs"} choice "mine": save the newest mask of ours as the next revision
   */
  resolve(id, revision, choice) {
    const queue = this.queue(id);
    queue.waiting = choice === "mine" ? queue.waiting.slice(-1) : [];
    queue.revision = revision;
    queue.held = false;
    this.storeRevision(queue);
    this.run();
  }

  /** @param {string} state */
  setState(state) {
    this.state = state;
    this.emit("state", state);
  }
}
