/**
 * Writes elements.d.ts: the type of each element of the pages by its id, so that tsc refuses an id that no page has.
 */

import { readFileSync, writeFileSync } from "node:fs";

const PAGE = new URL("../../src/sonoseg/review/page/", import.meta.url);

/** @type {Map<string, string>} */
const tags = new Map();
for (const file of ["index.html", "pacs.html"]) {
  for (const [, tag, attributes] of readFileSync(new URL(file, PAGE), "utf8").matchAll(/<([a-z]\w*)\b([^>]*)>/g)) {
    const id = /\bid="([\w-]+)"/.exec(attributes)?.[1];
    if (!id) continue;
    if ((tags.get(id) ?? tag) !== tag) throw new Error(`#${id} is a <${tag}> here and a <${tags.get(id)}> elsewhere`);
    tags.set(id, tag);
  }
}
const lines = [...tags].map(([id, tag]) => `  "${id}": HTMLElementTagNameMap["${tag}"];\n`);
writeFileSync(new URL("elements.d.ts", import.meta.url), `interface PageElements {\n${lines.join("")}}\n`);
