/**
 * Measurements, durations and times as text. No DOM.
 */

/** "12.3" for millimetres, "145" for pixels. @param {number} value @param {"mm" | "px"} unit */
export function formatNumber(value, unit) {
  return unit === "mm" ? value.toFixed(1) : String(Math.round(value));
}

/** "12.3 mm" or "145 px". @param {{value: number, unit: "mm" | "px"}} length */
export function formatLength({ value, unit }) {
  return `${formatNumber(value, unit)} ${unit}`;
}

/** "14.2 × 9.1 mm". @param {Lesion} lesion */
export function formatSize({ longest_axis: longest, perpendicular, unit }) {
  return `${formatNumber(longest, unit)} × ${formatNumber(perpendicular, unit)} ${unit}`;
}

/** The other measurements of a lesion, as short lines. @param {Lesion} lesion */
export function formatMeasurements(lesion) {
  const { unit } = lesion;
  const lines = [
    `area ${Math.round(lesion.area)} ${unit}², height / width ${lesion.height_width_ratio.toFixed(2)}`,
    `depth ${formatNumber(lesion.depth, unit)} ${unit}, ${lesion.orientation}`,
  ];
  const echoes = [lesion.echo_level, lesion.posterior].filter(Boolean);
  if (echoes.length) lines.push(echoes.join(", "));
  return lines;
}

/** "no lesion", "1 lesion", "2 lesions". @param {number} count */
export function formatLesions(count) {
  return ["no lesion", "1 lesion"][count] ?? `${count} lesions`;
}

/** "48 s" or "3 min 05 s". @param {number} seconds */
export function formatDuration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** A time of the server (ISO 8601, UTC) in the reader's time zone. @param {string | null} iso */
export function formatTime(iso) {
  const time = new Date(iso ?? "");
  if (Number.isNaN(time.getTime())) return iso ?? "";
  return time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/**
 * Why sizes are in pixels and what to do, or who calibrated the image.
 * @param {Pick<Item, "spacing_reason" | "spacing_origin">} item
 * @param {boolean} inPixels
 */
export function formatSpacing({ spacing_reason: reason, spacing_origin: origin }, inPixels) {
  if (inPixels && reason) {
    const remedy = "Draw a calliper (M) along the depth ruler or over a known length, then choose Calibrate.";
    return `Sizes are in pixels: ${reason}. ${remedy}`;
  }
  return ["file", "none"].includes(origin) ? "" : `Pixel spacing: ${origin}`;
}
