/**
 * The descriptors that a reader picks, with the terms of the BI-RADS ultrasound atlas (5th edition, 2013). No DOM.
 * A test compares the terms with the server's.
 */

/**
 * Each descriptor: its name in the API, its title, its terms, and the measurement that suggests a term.
 * @type {{name: string, title: string, terms: string[], measurement?: string, meanings?: Record<string, string>}[]}
 */
export const DESCRIPTORS = [
  { name: "shape", title: "Shape", terms: ["oval", "round", "irregular"] },
  { name: "orientation", title: "Orientation", terms: ["parallel", "not parallel"], measurement: "orientation" },
  {
    name: "margin",
    title: "Margin",
    terms: ["circumscribed", "indistinct", "angular", "microlobulated", "spiculated"],
  },
  {
    name: "echo_pattern",
    title: "Echo pattern",
    terms: ["anechoic", "hyperechoic", "complex cystic and solid", "hypoechoic", "isoechoic", "heterogeneous"],
    measurement: "echo_level",
  },
  {
    name: "posterior",
    title: "Posterior features",
    terms: ["no posterior features", "enhancement", "shadowing", "combined pattern"],
    measurement: "posterior",
  },
  {
    name: "assessment",
    title: "Assessment",
    terms: ["0", "1", "2", "3", "4A", "4B", "4C", "5", "6"],
    meanings: {
      0: "incomplete", 1: "negative", 2: "benign", 3: "probably benign", "4A": "low suspicion",
      "4B": "moderate suspicion", "4C": "high suspicion", 5: "highly suggestive of malignancy",
      6: "known, proven by biopsy",
    },
  },
];
