/**
 * Grey levels and colours of maps. No DOM.
 */

// Nine anchors of cividis (Nunez, Anderton, Renslow, PLoS ONE 2018), which reads the same to all eyes.
const CIVIDIS = [
  [0, 34, 78], [26, 56, 111], [67, 78, 108], [97, 101, 111], [125, 124, 120],
  [155, 148, 118], [188, 174, 108], [222, 201, 88], [254, 232, 56],
];

/** How a picture's greys are shown: all of them, as they are. */
export const PLAIN = Object.freeze({ width: 255, level: 127.5 });

/**
 * The grey shown for each grey of the picture.
 * @param {{width: number, level: number}} window the greys from level - width / 2 to level + width / 2 are spread
 * @returns {Uint8ClampedArray} 256 of them
 */
export function windowTable({ width, level }) {
  const low = level - width / 2;
  return Uint8ClampedArray.from({ length: 256 }, (_, grey) => ((grey - low) / width) * 255);
}

/** A window that stays sensible: width 2..510, level -127..382. */
export function limitedWindow({ width, level }) {
  return {
    width: Math.min(510, Math.max(2, width)),
    level: Math.min(382, Math.max(-127, level)),
  };
}

/** 256 colours [red, green, blue] from dark blue for 0 to yellow for 255. */
export function cividis() {
  return Array.from({ length: 256 }, (_, value) => {
    const place = (value / 255) * (CIVIDIS.length - 1);
    const low = Math.min(CIVIDIS.length - 2, Math.floor(place));
    return CIVIDIS[low].map((from, k) => Math.round(from + (place - low) * (CIVIDIS[low + 1][k] - from)));
  });
}

/**
 * RGBA pixels of a picture through a window.
 * @param {Uint8Array} values
 */
export function greyPixels(values, window) {
  const table = windowTable(window);
  const pixels = new Uint8ClampedArray(values.length * 4);
  const words = new Uint32Array(pixels.buffer);
  const shades = Uint32Array.from(table, (grey) => (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0);
  for (let k = 0; k < values.length; k += 1) words[k] = shades[values[k]];
  return pixels;
}

/** RGBA pixels of a map 0..255 in cividis; `strength` (0..1) of the colour, less where the value is small. */
export function mapPixels(values, strength = 0.65) {
  const table = cividis();
  const pixels = new Uint8ClampedArray(values.length * 4);
  for (let k = 0; k < values.length; k += 1) {
    const value = values[k];
    pixels.set(table[value], 4 * k);
    // Fading in over the lowest tenth keeps plain tissue readable.
    pixels[4 * k + 3] = 255 * strength * Math.min(1, value / 26);
  }
  return pixels;
}

/** RGBA pixels of one colour where a mask is set. */
export function tintPixels(values, [red, green, blue], strength) {
  const pixels = new Uint8ClampedArray(values.length * 4);
  for (let k = 0; k < values.length; k += 1) {
    if (values[k]) pixels.set([red, green, blue, 255 * strength], 4 * k);
  }
  return pixels;
}
