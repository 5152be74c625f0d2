/**
 * Window and level, and the colours of maps. No DOM.
 */

// Nine anchors of cividis (Nunez, Anderton, Renslow, PLoS ONE 2018), which is safe for colour-blind readers.
const CIVIDIS_ANCHORS = [
  [0, 34, 78], [26, 56, 111], [67, 78, 108], [97, 101, 111], [125, 124, 120],
  [155, 148, 118], [188, 174, 108], [222, 201, 88], [254, 232, 56],
];

/** 256 colours [red, green, blue], from dark blue for 0 to yellow for 255. */
const CIVIDIS = Array.from({ length: 256 }, (_, value) => {
  const position = (value / 255) * (CIVIDIS_ANCHORS.length - 1);
  const low = Math.min(CIVIDIS_ANCHORS.length - 2, Math.floor(position));
  const [from, to] = [CIVIDIS_ANCHORS[low], CIVIDIS_ANCHORS[low + 1]];
  return from.map((start, k) => Math.round(start + (position - low) * (to[k] - start)));
});

/** The window that shows all grey values unchanged. @type {Readonly<GreyWindow>} */
export const FULL_WINDOW = Object.freeze({ width: 255, level: 127.5 });

/** Limit a window to width 2..510 and level -127..382. @param {GreyWindow} window @returns {GreyWindow} */
export function clampWindow({ width, level }) {
  return {
    width: Math.min(510, Math.max(2, width)),
    level: Math.min(382, Math.max(-127, level)),
  };
}

/**
 * RGBA pixels of grey values through a window: level - width / 2 is black, level + width / 2 white.
 * @param {Uint8Array} values
 * @param {GreyWindow} window
 */
export function windowPixels(values, { width, level }) {
  const low = level - width / 2;
  const shown = Uint8ClampedArray.from({ length: 256 }, (_, grey) => ((grey - low) / width) * 255);
  const opaque = Uint32Array.from(shown, (grey) => (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0);
  const pixels = new Uint32Array(values.length);
  for (let k = 0; k < values.length; k += 1) pixels[k] = opaque[values[k]];
  return new Uint8ClampedArray(pixels.buffer);
}

/**
 * RGBA pixels of a map 0..255 in cividis.
 * @param {Uint8Array} values
 * @param {number} opacity 0..1; less over the lowest tenth of the values, so that other tissue stays readable
 */
export function mapPixels(values, opacity) {
  return tableColours(values, (value) => [...CIVIDIS[value], 255 * opacity * Math.min(1, value / 26)]);
}

/**
 * RGBA pixels of one colour where a mask is set.
 * @param {Uint8Array} values
 * @param {number[]} colour red, green, blue
 * @param {number} opacity 0..1
 */
export function tintPixels(values, colour, opacity) {
  return tableColours(values, (value) => (value ? [...colour, 255 * opacity] : [0, 0, 0, 0]));
}

/** @param {Uint8Array} values @param {(value: number) => number[]} colourOf */
function tableColours(values, colourOf) {
  const table = Array.from({ length: 256 }, (_, value) => Uint8ClampedArray.from(colourOf(value)));
  const pixels = new Uint8ClampedArray(values.length * 4);
  for (let k = 0; k < values.length; k += 1) pixels.set(table[values[k]], 4 * k);
  return pixels;
}
