/**
 * The dialog that asks for the server's token.
 */

import { byId } from "./dom.js";

/**
 * @param {import("./api.js").Api} api
 * @param {() => unknown} done called after each login
 */
export function connectTokenDialog(api, done) {
  const [dialog, token, status] = [byId("token-dialog"), byId("token"), byId("token-status")];
  api.on("token", () => dialog.open || dialog.showModal());
  byId("token-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.login(token.value);
      token.value = "";
      status.textContent = "";
      dialog.close();
      await done();
    } catch (/** @type {any} */ error) {
      status.textContent = error.message;
    }
  });
}
