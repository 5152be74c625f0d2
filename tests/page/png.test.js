import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { Mask } from "../../src/sonoseg/review/page/mask.js";
import { decodeGrey, encodeGrey } from "../../src/sonoseg/review/page/png.js";
import { generator, randomMask } from "./random_masks.js";

/**
 * A PNG of raw rows, each led by its filter. Checksums are zero: the decoder does not read them.
 * @param {{width: number, height: number, bits?: number, colour?: number}} header
 * @param {number[]} rows
 */
function pngOf({ width, height, bits = 8, colour = 0 }, rows) {
  const chunk = (/** @type {string} */ kind, /** @type {Buffer} */ body) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    return Buffer.concat([length, Buffer.from(kind), body, Buffer.alloc(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = bits;
  header[9] = colour;
  const packed = deflateSync(Buffer.from(rows));
  const half = packed.length >> 1; // decoders must join several IDAT chunks
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const parts = [
    signature, chunk("IHDR", header), chunk("IDAT", packed.subarray(0, half)), chunk("IDAT", packed.subarray(half)),
    chunk("IEND", Buffer.alloc(0)),
  ];
  return new Uint8Array(Buffer.concat(parts)).buffer;
}

test("what is encoded is decoded unchanged", async () => {
  const random = generator(1);
  const values = Uint8Array.from({ length: 57 * 40 }, () => Math.floor(256 * random()));
  const png = await encodeGrey(57, 40, values);
  assert.equal(png.type, "image/png");
  assert.deepEqual(await decodeGrey(await png.arrayBuffer()), { width: 57, height: 40, values });
});

test("a mask survives the way to the server and back", async () => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const mask = randomMask(seed);
    const grey = await decodeGrey(await (await mask.toPng()).arrayBuffer());
    assert.ok(grey && Mask.fromGrey(grey).equals(mask));
  }
});

test("all row filters are undone", async () => {
  const rows = [
    0, 10, 20, 30, // none
    1, 10, 5, 251, // left
    2, 1, 2, 3, // above
    3, 10, 10, 10, // mean of left and above
    4, 1, 1, 1, // Paeth
  ];
  const grey = await decodeGrey(pngOf({ width: 3, height: 5 }, rows));
  assert.deepEqual([...(grey?.values ?? [])], [
    10, 20, 30,
    10, 15, 10,
    11, 17, 13,
    15, 26, 29,
    16, 27, 30,
  ]);
});

test("fewer bits are scaled to 0..255", async () => {
  const decode = async (/** @type {number} */ bits, /** @type {number} */ byte) =>
    [...((await decodeGrey(pngOf({ width: 3, height: 1, bits }, [0, byte, 0])))?.values ?? [])];
  assert.deepEqual(await decode(1, 0b10100000), [255, 0, 255]);
  assert.deepEqual(await decode(2, 0b11011000), [255, 85, 170]);
  assert.deepEqual((await decode(4, 0xf1)).slice(0, 2), [255, 17]);
});

test("other kinds of PNG are left to the browser", async () => {
  assert.equal(await decodeGrey(pngOf({ width: 1, height: 1, colour: 2 }, [0, 1, 2, 3])), null);
  assert.equal(await decodeGrey(pngOf({ width: 1, height: 1, bits: 16 }, [0, 1, 2])), null);
});

test("damaged data is refused", async () => {
  await assert.rejects(decodeGrey(new ArrayBuffer(100)), /not a PNG/);
  await assert.rejects(decodeGrey(pngOf({ width: 3, height: 2 }, [0, 1, 2, 3])), /truncated/);
});
