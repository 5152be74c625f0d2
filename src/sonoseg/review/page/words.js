/**
 * The words a reader picks from, as the BI-RADS ultrasound atlas (5th edition, 2013) has them, and how findings
 * are said. No DOM. A test compares the words with the server's.
 */

/** Each descriptor: its name in the API, its title, its words, and the finding that suggests one. */
export const DESCRIPTORS = [
  { name: "shape", title: "Shape", words: ["oval", "round", "irregular"] },
  { name: "orientation", title: "Orientation", words: ["parallel", "not parallel"], finding: "orientation" },
  {
    name: "margin",
    title: "Margin",
    words: ["circumscribed", "indistinct", "angular", "microlobulated", "spiculated"],
  },
  {
    name: "echo_pattern",
    title: "Echo pattern",
    words: ["anechoic", "hyperechoic", "complex cystic and solid", "hypoechoic", "isoechoic", "heterogeneous"],
    finding: "echo_level",
  },
  {
    name: "posterior",
    title: "Posterior features",
    words: ["no posterior features", "enhancement", "shadowing", "combined pattern"],
    finding: "posterior",
  },
  {
    name: "assessment",
    title: "Assessment",
    words: ["0", "1", "2", "3", "4A", "4B", "4C", "5", "6"],
    meanings: {
      0: "incomplete", 1: "negative", 2: "benign", 3: "probably benign", "4A": "low suspicion",
      "4B": "moderate suspicion", "4C": "high suspicion", 5: "highly suggestive of malignancy",
      6: "known, proven by biopsy",
    },
  },
];

const LENGTH = { mm: (value) => value.toFixed(1), px: (value) => String(Math.round(value)) };

/** "14.2 × 9.1 mm" */
export function saySize(lesion) {
  const say = LENGTH[lesion.unit];
  return `${say(lesion.longest_axis)} × ${say(lesion.perpendicular)} ${lesion.unit}`;
}

/** The rest of what was measured, as short lines. */
export function sayFacts(lesion) {
  const say = LENGTH[lesion.unit];
  const square = lesion.unit === "mm" ? `${lesion.area.toFixed(0)} mm²` : `${Math.round(lesion.area)} px²`;
  const lines = [
    `area ${square}, height / width ${lesion.height_width_ratio.toFixed(2)}`,
    `depth ${say(lesion.depth)} ${lesion.unit}, ${lesion.orientation}`,
  ];
  const echoes = [lesion.echo_level, lesion.posterior].filter(Boolean);
  if (echoes.length) lines.push(echoes.join(", "));
  return lines;
}

/** Seconds in words: "48 s", "3 min 05 s". */
export function saySeconds(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/** A time of the server (ISO, UTC) in the reader's own. */
export function sayTime(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  return time.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
