/**
 * Export: what to make, of which pictures, and the ZIP as a download.
 */

import { byId, make } from "./dom.js";

/**
 * @param {import("./api.js").Api} api
 * @param {() => string | null} open the id of the open picture
 * @param {() => Promise<unknown>} settle everything is saved
 */
export function makeExport(api, open, settle) {
  const dialog = byId("export");
  const form = byId("export-form");
  const state = byId("export-state");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const what = data.getAll("what");
    if (!what.length) {
      state.textContent = "Choose what to make.";
      return;
    }
    byId("export-go").disabled = true;
    state.textContent = "Making the ZIP. This may take a while.";
    try {
      await settle();
      const ids = await chosen(api, data.get("which"), open());
      if (ids && !ids.length) {
        state.textContent = data.get("which") === "open" ? "No picture is open." : "Nothing is signed yet.";
        return;
      }
      const { blob, name } = await api.export({ ids, what, anonymise: data.has("anonymise") });
      save(blob, name);
      state.textContent = `${name}: ${(blob.size / 1e6).toFixed(1)} MB`;
    } catch (error) {
      state.textContent = error.message;
    } finally {
      byId("export-go").disabled = false;
    }
  });
  return () => {
    state.textContent = "";
    dialog.showModal();
  };
}

/** The ids to export; null for all of the list. */
async function chosen(api, which, open) {
  if (which === "all") return null;
  if (which === "open") return open ? [open] : [];
  const ids = [];
  for (;;) {
    const { items, total } = await api.items({ status: "signed", sort: "added", offset: ids.length, limit: 500 });
    ids.push(...items.map((item) => item.id));
    if (ids.length >= total || !items.length) return ids;
  }
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  // The browser reads it after this call: it is let go a minute later.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
