/**
 * Grey PNG, encoded and decoded without a canvas: masks must be exact, and some browsers add noise to pixels read
 * from a canvas (against fingerprinting) or apply colour management. No DOM.
 */

const SIGNATURE = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** @param {BlobPart[]} parts @param {CompressionStream | DecompressionStream} transform */
async function pipe(parts, transform) {
  const stream = new Blob(parts).stream().pipeThrough(transform);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} kind @param {Uint8Array} body */
function chunk(kind, body) {
  const whole = new Uint8Array(body.length + 12);
  const view = new DataView(whole.buffer);
  view.setUint32(0, body.length);
  for (let k = 0; k < 4; k += 1) whole[4 + k] = kind.charCodeAt(k);
  whole.set(body, 8);
  view.setUint32(body.length + 8, crc32(whole.subarray(4, body.length + 8)));
  return whole;
}

/**
 * Encode 8-bit grey values.
 * @param {number} width
 * @param {number} height
 * @param {Uint8Array} values row by row, width * height of them, 0..255
 * @returns {Promise<Blob>}
 */
export async function encodeGrey(width, height, values) {
  if (values.length !== width * height) throw new RangeError(`${values.length} values for ${width} x ${height}`);
  const rows = new Uint8Array(height * (width + 1)); // each row led by its filter: 0, none
  for (let row = 0; row < height; row += 1) {
    rows.set(values.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8; // bits; colour type 0 (grey), deflate, adaptive filters, not interlaced
  const packed = await pipe([rows], new CompressionStream("deflate"));
  const parts = [SIGNATURE, chunk("IHDR", header), chunk("IDAT", packed), chunk("IEND", new Uint8Array(0))];
  return new Blob(parts, { type: "image/png" });
}

/**
 * Decode a grey PNG of 1, 2, 4 or 8 bits, not interlaced; fewer bits are scaled to 0..255.
 * @param {ArrayBuffer} buffer
 * @returns {Promise<GreyImage | null>} null for any other kind of PNG
 * @throws {Error} where the data is not a PNG, or truncated
 */
export async function decodeGrey(buffer) {
  const bytes = new Uint8Array(buffer);
  if (SIGNATURE.some((value, k) => bytes[k] !== value)) throw new Error("not a PNG");
  const view = new DataView(buffer);
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  const [bits, colour, , , interlaced] = bytes.subarray(24, 29);
  if (colour !== 0 || bits > 8 || interlaced) return null;
  const parts = [];
  for (let at = 8; at + 8 <= bytes.length; at += view.getUint32(at) + 12) {
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const rows = await pipe(parts, new DecompressionStream("deflate"));
  const stride = Math.ceil((width * bits) / 8);
  if (rows.length < height * (stride + 1)) throw new Error("the PNG is truncated");
  unfilter(rows, height, stride);
  return { width, height, values: unpack(rows, width, height, stride, bits) };
}

/**
 * Undo the row filters in place (PNG specification, 9.2).
 * @param {Uint8Array} rows
 * @param {number} height
 * @param {number} stride bytes in a row
 */
function unfilter(rows, height, stride) {
  const zeros = new Uint8Array(stride);
  for (let row = 0; row < height; row += 1) {
    const start = row * (stride + 1);
    const line = rows.subarray(start + 1, start + 1 + stride);
    const above = row ? rows.subarray(start - stride, start) : zeros;
    const filter = rows[start];
    for (let k = 0; k < stride && filter; k += 1) {
      const left = k ? line[k - 1] : 0;
      const corner = k ? above[k - 1] : 0;
      if (filter === 1) line[k] += left;
      else if (filter === 2) line[k] += above[k];
      else if (filter === 3) line[k] += (left + above[k]) >> 1;
      else line[k] += paeth(left, above[k], corner);
    }
  }
}

/** @param {number} left @param {number} above @param {number} corner */
function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

/**
 * @param {Uint8Array} rows
 * @param {number} width
 * @param {number} height
 * @param {number} stride bytes in a row
 * @param {number} bits of a pixel
 */
function unpack(rows, width, height, stride, bits) {
  const values = new Uint8Array(width * height);
  const most = (1 << bits) - 1;
  for (let row = 0; row < height; row += 1) {
    const start = row * (stride + 1) + 1;
    if (bits === 8) {
      values.set(rows.subarray(start, start + width), row * width);
      continue;
    }
    for (let column = 0; column < width; column += 1) {
      const bit = column * bits;
      const value = (rows[start + (bit >> 3)] >> (8 - bits - (bit & 7))) & most;
      values[row * width + column] = (value * 255) / most;
    }
  }
  return values;
}
