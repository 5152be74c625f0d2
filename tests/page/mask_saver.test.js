import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { ApiError } from "../../src/sonoseg/review/page/api.js";
import { Mask } from "../../src/sonoseg/review/page/mask.js";
import { MaskSaver } from "../../src/sonoseg/review/page/mask_saver.js";
import { decodeGrey } from "../../src/sonoseg/review/page/png.js";
import { randomMask } from "./random_masks.js";

/** A server that holds the masks it gets; `problem` is what it answers instead. */
class FakeServer {
  revision = 0;
  /** @type {Mask[]} */
  masks = [];
  /** @type {Error | null} */
  problem = null;

  /** @param {string} _id @param {Blob} png @param {{revision: number}} edit */
  async saveMask(_id, png, { revision }) {
    if (this.problem) throw this.problem;
    if (revision !== this.revision) throw new ApiError(412, { found: "changed" }, { current: { reader: "CD" } });
    const grey = await decodeGrey(await png.arrayBuffer());
    assert.ok(grey);
    this.masks.push(Mask.fromGrey(grey));
    this.revision += 1;
    return { revision: this.revision, findings: [], lesions: 0 };
  }
}

/** @param {Map<string, string>} stored */
const storageOf = (stored) => ({
  get: (/** @type {string} */ name) => stored.get(name) ?? null,
  set: (/** @type {string} */ name, /** @type {string} */ value) => Boolean(stored.set(name, value)),
  remove: (/** @type {string} */ name) => void stored.delete(name),
  names: (/** @type {string} */ prefix) => [...stored.keys()].filter((name) => name.startsWith(prefix)),
});

function setUp(tab = "tab", stored = new Map(), server = new FakeServer()) {
  globalThis.window ??= /** @type {any} */ (globalThis); // for setTimeout
  const saver = new MaskSaver(/** @type {any} */ (server), storageOf(stored), () => "AB", tab);
  /** @type {string[]} */
  const states = [];
  saver.on("state", (state) => states.push(state));
  return { saver, server, stored, states };
}

test("edits are saved in order, and nothing stays stored", async () => {
  const { saver, server, stored, states } = setUp();
  const masks = [1, 2, 3].map((seed) => randomMask(seed));
  for (const mask of masks) saver.save("x", mask, "brush", 1);
  assert.ok(saver.isPending("x"));
  assert.equal(stored.size, 1);
  assert.equal(await saver.settled("x"), true);
  assert.ok(masks.every((mask, k) => server.masks[k].equals(mask)));
  assert.equal(saver.revision("x"), 3);
  assert.equal(stored.size, 0);
  assert.equal(states.at(-1), "saved");
});

test("an edit is stored until the server takes it, and a reload finds it", async () => {
  const { saver, server, stored, states } = setUp();
  server.problem = new ApiError(0, { found: "no answer" });
  saver.save("x", randomMask(1), "brush", 1);
  assert.equal(await saver.settled("x"), false);
  clearTimeout(saver.timer);
  assert.equal(states.at(-1), "offline");
  const { saver: reloaded } = setUp("tab", stored);
  const unsaved = reloaded.findUnsaved("x");
  assert.ok(unsaved);
  assert.ok(unsaved.mask.equals(randomMask(1)));
  assert.deepEqual([unsaved.tool, unsaved.revision], ["brush", 0]);
  assert.equal(reloaded.findUnsaved("y"), null);
});

test("another tab's edit is recovered only when that tab is gone", () => {
  mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
  const { saver, server, stored } = setUp("one");
  server.problem = new ApiError(0, { found: "no answer" });
  saver.save("x", randomMask(1), "brush", 1);
  const { saver: other } = setUp("two", stored);
  assert.equal(other.findUnsaved("x"), null);
  assert.equal(other.untilAbandoned("x"), 10_000);
  mock.timers.tick(10_000);
  assert.equal(other.untilAbandoned("x"), null);
  assert.ok(other.findUnsaved("x"));
  mock.timers.reset();
  return saver.run()?.then(() => clearTimeout(saver.timer));
});

test("a damaged stored edit is removed", () => {
  const stored = new Map([["unsaved.x.tab", "{"]]);
  assert.equal(setUp("tab", stored).saver.findUnsaved("x"), null);
  assert.equal(stored.size, 0);
});

for (const choice of /** @type {const} */ (["mine", "theirs"])) {
  test(`a mask made from an older revision is sent only by the reader's choice: ${choice}`, async () => {
    const { saver, server, stored, states } = setUp();
    server.revision = 5;
    /** @type {any[]} */
    const conflicts = [];
    saver.on("conflict", (detail) => conflicts.push(detail));
    saver.save("x", randomMask(1), "brush", 1);
    saver.save("x", randomMask(2), "brush", 1);
    await saver.run();
    await saver.run();
    assert.deepEqual(conflicts, [{ id: "x", current: { reader: "CD" } }]);
    assert.equal(states.at(-1), "conflict");
    assert.equal(server.masks.length, 0);
    saver.resolve("x", 5, choice);
    await saver.run();
    assert.equal(server.masks.length, choice === "mine" ? 1 : 0);
    assert.equal(saver.revision("x"), choice === "mine" ? 6 : 5);
    if (choice === "mine") assert.ok(server.masks[0].equals(randomMask(2)), "the newest");
    assert.equal(saver.anyPending, false);
    assert.equal(stored.size, 0);
  });
}
