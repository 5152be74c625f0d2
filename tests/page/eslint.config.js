import js from "@eslint/js";
import globals from "globals";

const unused = { argsIgnorePattern: "^_", varsIgnorePattern: "^_" };

export default [
  { ignores: ["**/node_modules/"] },
  js.configs.recommended,
  { files: ["tests/page/**"], languageOptions: { globals: globals.node } },
  { files: ["src/sonoseg/review/page/**"], languageOptions: { globals: globals.browser } },
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "max-len": ["error", 120],
      "max-lines": ["error", 350],
      "no-implicit-coercion": "error",
      "no-unused-vars": ["error", unused],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
    },
  },
];
