/**
 * The commands of the page with their keys. Keyboard, toolbar and help are made from this table. No DOM.
 */

/**
 * Keys are named as by KeyboardEvent.key; "Mod+" is Ctrl or Cmd. `hold`: lasts while the key is down.
 * @typedef {{name: string, keys: string[], label: string, group: string, hold: boolean}} Command
 */

/** @type {[title: string, commands: [name: string, keys: string[], label: string, hold?: "hold"][]][]} */
const GROUPS = [
  ["Worklist", [
    ["next", ["j"], "Next image"],
    ["previous", ["k"], "Previous image"],
    ["next-to-do", ["u"], "Next unfinished image"],
    ["search", ["/"], "Search"],
    ["add", ["Shift+A"], "Add files"],
    ["export", ["Shift+E"], "Export"],
  ]],
  ["Sign", [
    ["sign", ["Mod+Enter"], "Sign off and open the next unfinished image"],
    ["refer", ["Shift+R"], "Refer to another reader"],
    ["reopen", ["Shift+O"], "Reopen a signed or referred image"],
    ["reader", ["i"], "Enter your initials"],
    ["describe", ["y"], "Go to the descriptors"],
    ["comment", ["t"], "Go to the comment"],
  ]],
  ["Tools", [
    ["pan", ["g"], "Pan"],
    ["window", ["w"], "Window and level"],
    ["calliper", ["m"], "Callipers"],
    ["click", ["c"], "Smart click; Shift or Alt: background"],
    ["brush", ["b"], "Brush; Alt erases"],
    ["eraser", ["e"], "Eraser; Alt draws"],
    ["polygon", ["p"], "Polygon; Alt cuts out; click the last corner again to close"],
    ["smaller", ["["], "Smaller brush"],
    ["larger", ["]"], "Larger brush"],
  ]],
  ["Edit", [
    ["undo", ["z", "Mod+z"], "Undo"],
    ["redo", ["Shift+Z", "Mod+Shift+Z", "Mod+y"], "Redo"],
    ["delete-lesion", ["x"], "Delete the lesion under the pointer"],
    ["no-lesion", ["n"], "No lesion: clear the mask"],
    ["restore", ["r"], "Restore the model's mask"],
  ]],
  ["View", [
    ["hide", ["h"], "Hide all overlays, while held", "hold"],
    ["grab", [" "], "Pan by dragging, while held", "hold"],
    ["contour", ["o"], "Contour on or off"],
    ["uncertainty", ["d"], "Uncertainty band on or off"],
    ["sizes", ["l"], "Sizes on or off"],
    ["probability", ["f"], "Probability map on or off"],
    ["attention", ["a"], "Attention maps in turn, then off"],
    ["split", ["s"], "Two views side by side"],
    ["pin", ["Shift+S"], "Pin this image in the second view"],
    ["zoom-in", ["+", "="], "Zoom in"],
    ["zoom-out", ["-"], "Zoom out"],
    ["fit", ["0"], "Fit to window"],
    ["one-to-one", ["1"], "Actual size (1:1)"],
    ["window-reset", ["Shift+W"], "Reset window and level"],
  ]],
  ["Clip", [
    ["frame-back", [","], "Previous frame"],
    ["frame-on", ["."], "Next frame"],
    ["frames-back", ["<"], "Ten frames back"],
    ["frames-on", [">"], "Ten frames forward"],
    ["frame-first", ["Home"], "First frame"],
    ["frame-last", ["End"], "Last frame"],
  ]],
  ["Page", [
    ["image", ["v"], "Go to the image: arrow keys move the cursor, Enter applies the tool"],
    ["help", ["?"], "Help"],
    ["theme", ["Shift+T"], "Dark or light theme"],
    ["cancel", ["Escape"], "Cancel; close"],
  ]],
];

/** @type {Command[]} */
export const COMMANDS = GROUPS.flatMap(([group, commands]) =>
  commands.map(([name, keys, label, hold]) => ({ name, keys, label, group, hold: hold === "hold" })));

/** Commands that a key held down does not repeat. */
export const SINGLE = new Set(["sign", "refer", "reopen", "no-lesion", "restore", "delete-lesion"]);

/** The tools that edit the mask. */
export const EDITING_TOOLS = ["click", "brush", "eraser", "polygon"];
