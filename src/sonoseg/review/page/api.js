/**
 * The server's HTTP API, one method a route. Addresses are relative to the page, so that it works behind a proxy
 * that serves it under a prefix.
 */

import { Emitter } from "./events.js";

/** An error that the server answered, or that no answer came (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{found?: string, where?: string | null, remedy?: string | null}} problem
   * @param {{retryAfter?: number | null, current?: any, refused?: Refusal[] | null}} [options]
   */
  constructor(status, problem, { retryAfter = null, current = null, refused = null } = {}) {
    super([problem.found, problem.remedy].filter(Boolean).join(". "));
    this.status = status;
    this.found = problem.found ?? "";
    this.remedy = problem.remedy ?? "";
    this.retryAfter = retryAfter; // seconds
    this.current = current; // the item's present state, where that is the reason
    this.refused = refused; // files, each with its reason
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const NO_ANSWER = { found: "The server does not answer", remedy: "Check that it is running" };

/** @typedef {RequestInit & {json?: unknown, headers?: Record<string, string>}} RequestOptions `json`: the body */

/** Emits "token" where the server asks for its token. */
export class Api extends Emitter {
  constructor(base = "api/v1/") {
    super();
    this.base = base;
  }

  /**
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>} with a status of success
   * @throws {ApiError}
   */
  async request(path, { json, headers, ...options } = {}) {
    const sent = json === undefined ? { headers } : {
      headers: { ...headers, "Content-Type": "application/json" },
      body: JSON.stringify(json),
    };
    const response = await fetch(path, { ...options, ...sent }).catch((error) => {
      throw error.name === "AbortError" ? error : new ApiError(0, NO_ANSWER);
    });
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    const seconds = Number(response.headers.get("Retry-After"));
    throw new ApiError(response.status, answer.error ?? { found: `The server answered ${response.status}` }, {
      retryAfter: seconds > 0 ? seconds : null,
      current: answer.current,
      refused: answer.refused,
    });
  }

  /** Request a route of the API. @param {string} path @param {RequestOptions} [options] */
  async call(path, options) {
    try {
      return await this.request(this.base + path, options);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.emit("token");
      throw error;
    }
  }

  /** @param {string} path @param {RequestOptions} [options] @returns {Promise<any>} */
  async json(path, options) {
    return (await this.call(path, options)).json();
  }

  /** @param {string} path @param {RequestOptions} [options] */
  async bytes(path, options) {
    return (await this.call(path, options)).arrayBuffer();
  }

  /** @returns {Promise<ServerInfo>} */
  about() {
    return this.json("about");
  }

  /** Log in; the server answers with a cookie that scripts cannot read. @param {string} token */
  async login(token) {
    try {
      await this.request("login", { method: "POST", json: { token } });
    } catch (error) {
      if (error instanceof ApiError && error.status) throw new ApiError(error.status, { found: "Wrong token" });
      throw error;
    }
  }

  /**
   * @param {Record<string, any>} query
   * @returns {Promise<{items: Item[], total: number, counts: Record<Status, number>, failed: number}>}
   */
  items(query) {
    return this.json(`items?${new URLSearchParams(query)}`);
  }

  /** The queue of the DICOM node. @param {Record<string, any>} query @returns {Promise<QueueReport>} */
  pacs(query) {
    return this.json(`pacs?${new URLSearchParams(query)}`);
  }

  /** @param {string} id @returns {Promise<ItemDetails>} */
  item(id) {
    return this.json(`items/${id}`);
  }

  /**
   * @param {File[]} files
   * @param {string} [spacing] mm per pixel of all of them; "": as the files state
   * @returns {Promise<{items: Item[], refused: Refusal[]}>}
   */
  add(files, spacing = "") {
    const body = new FormData();
    if (spacing) body.append("spacing", spacing);
    for (const file of files) body.append("files", file, file.name);
    return this.json("items", { method: "POST", body });
  }

  /** @returns {Promise<{items: Item[]}>} */
  samples() {
    return this.json("samples", { method: "POST" });
  }

  /** @param {string} id */
  thumbnail(id) {
    return `${this.base}items/${id}/thumbnail.png`;
  }

  /** @param {string} id @param {string} name image.png, mask.png?of=model, probability.png, attention/1.png ... */
  layer(id, name) {
    return this.bytes(`items/${id}/${name}`);
  }

  /**
   * @param {string} id
   * @param {{ends: number[][], millimetres: number, scope: string, reader: string}} json ends: row, column
   * @returns {Promise<{item: ItemDetails, changed: number, signed: number, own: number}>}
   */
  calibrate(id, json) {
    return this.json(`items/${id}/calibrate`, { method: "POST", json });
  }

  /**
   * The depth ruler beside the scan; null where none is plain.
   * @param {string} id
   * @returns {Promise<Ruler | null>}
   */
  async ruler(id) {
    return (await this.json(`items/${id}/ruler`)).ruler;
  }

  /** @param {string} id @returns {Promise<Item>} */
  predict(id) {
    return this.json(`items/${id}/predict`, { method: "POST" });
  }

  /**
   * @param {string} id
   * @param {Blob} png
   * @param {{revision: number, reader: string, tool: EditTool, seconds: number}} edit
   * @returns {Promise<{revision: number, lesions: number, findings: Lesion[]}>}
   */
  saveMask(id, png, { revision, reader, tool, seconds }) {
    return this.json(`items/${id}/mask`, {
      method: "PUT",
      body: png,
      headers: {
        "Content-Type": "image/png",
        ...ifMatch(revision),
        "X-Reader": encodeURIComponent(reader), // headers are Latin-1; initials may not be
        "X-Tool": tool,
        "X-Seconds": seconds.toFixed(1),
      },
    });
  }

  /** @param {string} id @param {Blob} png @returns {Promise<{findings: Lesion[]}>} */
  measure(id, png) {
    return this.json(`items/${id}/measure`, { method: "POST", body: png, headers: { "Content-Type": "image/png" } });
  }

  /** Segment the lesion at the clicks. @param {string} id @param {ClickPoint[]} points @returns PNG of the mask */
  click(id, points) {
    return this.bytes(`items/${id}/click`, { method: "POST", json: { points, of: "current" } });
  }

  /** @param {string} id @param {Review} json @param {number} revision @returns {Promise<{version?: number}>} */
  saveReview(id, json, revision) {
    // keepalive: the request outlives a page that is being closed.
    const options = { method: "PUT", json, headers: ifMatch(revision), keepalive: true };
    return this.json(`items/${id}/review`, options);
  }

  /**
   * @param {string} id
   * @param {SignAction} action
   * @param {{reader: string, comment?: string}} json
   * @param {number} revision
   * @returns {Promise<Item>}
   */
  setStatus(id, action, json, revision) {
    return this.json(`items/${id}/${action}`, { method: "POST", json, headers: ifMatch(revision) });
  }

  /** @param {string} id @returns {Promise<{entries: HistoryEntry[]}>} */
  history(id) {
    return this.json(`items/${id}/history`);
  }

  /** @param {{ids: string[] | null, what: string[], anonymise: boolean}} json */
  async export(json) {
    const answer = await this.call("export", { method: "POST", json });
    const named = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition") ?? "");
    return { blob: await answer.blob(), name: named?.[1] ?? "sonoseg-review.zip" };
  }
}

/** @param {number} revision */
function ifMatch(revision) {
  return { "If-Match": `"${revision}"` };
}
