import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const PAGE = new URL("../../src/sonoseg/review/page/", import.meta.url);

/** @type {Map<string, string[]>} the modules that each module imports, as URLs */
const imports = new Map();
for (const name of readdirSync(PAGE, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".js")) continue;
  const module = new URL(name, PAGE);
  const targets = readFileSync(module, "utf8").matchAll(/^import\b(?:[^;]*?from)? "([^"]+)";/gm);
  imports.set(module.href, [...targets].map(([, target]) => new URL(target, module).href));
}

test("every import leads to a module of the page", () => {
  for (const [module, targets] of imports) {
    for (const target of targets) assert.ok(existsSync(new URL(target)), `${module} imports ${target}`);
  }
});

test("no module imports itself, directly or through others", () => {
  /** @param {string} module @param {string[]} path */
  const visit = (module, path) => {
    assert.ok(!path.includes(module), [...path, module].join(" -> "));
    for (const target of imports.get(module) ?? []) visit(target, [...path, module]);
  };
  for (const module of imports.keys()) visit(module, []);
});

test("every module is used", () => {
  const used = new Set([...imports.values()].flat());
  const entries = ["main.js", "pacs.js"].map((name) => new URL(name, PAGE).href);
  for (const module of imports.keys()) assert.ok(used.has(module) || entries.includes(module), module);
});
