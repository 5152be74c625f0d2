/**
 * The server's HTTP API, one method a route. Addresses are relative to the page, so that it works behind a
 * proxy that serves it under a prefix.
 */

/** What the server, or the way to it, refused. `status` 0: no answer came. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{found?: string, where?: string | null, remedy?: string | null}} told
   */
  constructor(status, told, { retryAfter = null, current = null, refused = null } = {}) {
    super([told.found, told.remedy].filter(Boolean).join(". "));
    this.status = status;
    this.found = told.found ?? "";
    this.remedy = told.remedy ?? "";
    this.retryAfter = retryAfter;
    this.current = current; // how the item stands now, where that is the reason
    this.refused = refused; // files, each with its reason
  }

  /** Whether the same request may do later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const NO_ANSWER = { found: "The server does not answer", remedy: "Is it still running?" };

export class Api extends EventTarget {
  constructor(base = "api/v1/") {
    super();
    this.base = base;
  }

  /** @returns {Promise<Response>} one that is ok. @throws {ApiError} */
  async request(path, { method = "GET", headers = {}, body, json, signal, keepalive } = {}) {
    const sent = { method, headers: { ...headers }, body, signal, keepalive };
    if (json !== undefined) {
      sent.body = JSON.stringify(json);
      sent.headers["Content-Type"] = "application/json";
    }
    let answer;
    try {
      answer = await fetch(this.base + path, sent);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, NO_ANSWER);
    }
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    const seconds = Number(answer.headers.get("Retry-After"));
    if (answer.status === 401) this.dispatchEvent(new Event("token"));
    throw new ApiError(answer.status, told.error ?? { found: `The server answered ${answer.status}` }, {
      retryAfter: seconds > 0 ? seconds : null,
      current: told.current ?? null,
      refused: told.refused ?? null,
    });
  }

  async json(path, options) {
    return (await this.request(path, options)).json();
  }

  async bytes(path, options) {
    return (await this.request(path, options)).arrayBuffer();
  }

  about() {
    return this.json("about");
  }

  /** Show the token once; a cookie that scripts cannot read stands for it afterwards. */
  async login(token) {
    let answer;
    try {
      answer = await fetch("login", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ token }),
      });
    } catch {
      throw new ApiError(0, NO_ANSWER);
    }
    if (!answer.ok) throw new ApiError(answer.status, { found: "This is not the server's token" });
  }

  /** @param {Record<string, string | number | boolean>} query */
  items(query) {
    return this.json(`items?${new URLSearchParams(query)}`);
  }

  /** The node's queue. @param {Record<string, string | number>} query */
  pacs(query) {
    return this.json(`pacs?${new URLSearchParams(query)}`);
  }

  item(id) {
    return this.json(`items/${id}`);
  }

  /** @param {File[]} files @param {string} [spacing] mm per pixel of all of them; "" as the files say */
  add(files, spacing = "") {
    const body = new FormData();
    if (spacing) body.append("spacing", spacing);
    for (const file of files) body.append("files", file, file.name);
    return this.json("items", { method: "POST", body });
  }

  samples() {
    return this.json("samples", { method: "POST" });
  }

  thumbnail(id) {
    return `${this.base}items/${id}/thumbnail.png`;
  }

  /** @param {string} name image, mask?of=model, probability, doubt, attention/1 ... as the address ends */
  layer(id, name, options) {
    return this.bytes(`items/${id}/${name}`, options);
  }

  predict(id) {
    return this.json(`items/${id}/predict`, { method: "POST" });
  }

  saveMask(id, png, { revision, reader, tool, seconds }) {
    return this.json(`items/${id}/mask`, {
      method: "PUT",
      body: png,
      headers: {
        "Content-Type": "image/png",
        "If-Match": `"${revision}"`,
        // A header takes no letters beyond Latin-1 and a reader's name may have them.
        "X-Reader": encodeURIComponent(reader),
        "X-Tool": tool,
        "X-Seconds": seconds.toFixed(1),
      },
    });
  }

  measure(id, png, signal) {
    const headers = { "Content-Type": "image/png" };
    return this.json(`items/${id}/measure`, { method: "POST", body: png, headers, signal });
  }

  click(id, points, of) {
    return this.bytes(`items/${id}/click`, { method: "POST", json: { points, of } });
  }

  saveReview(id, review, revision) {
    return this.json(`items/${id}/review`, { method: "PUT", json: review, headers: { "If-Match": `"${revision}"` } });
  }

  /** Sign, refer or reopen. @param {"sign" | "refer" | "reopen"} what */
  status(id, what, json, revision) {
    return this.json(`items/${id}/${what}`, { method: "POST", json, headers: { "If-Match": `"${revision}"` } });
  }

  history(id) {
    return this.json(`items/${id}/history`);
  }

  async export(json) {
    const answer = await this.request("export", { method: "POST", json });
    const named = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition") ?? "");
    return { blob: await answer.blob(), name: named?.[1] ?? "sonoseg-review.zip" };
  }
}
