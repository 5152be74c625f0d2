/**
 * The border of a mask as closed lines. No DOM.
 */

// Right, down, left, up as [row, column]. A border is followed with the lesion on its right.
const STEPS = [[0, 1], [1, 0], [0, -1], [-1, 0]];

/**
 * Trace every border of a mask, holes included.
 * @param {import("./mask.js").Mask} mask
 * @returns {number[][]} each closed line as [x, y, x, y ...] along the pixel edges, its corners only. Diagonal
 *   neighbours belong to one lesion (8-connected), as in the findings.
 */
export function traceBorders(mask) {
  const box = mask.bounds();
  if (!box) return [];
  const { top, left, bottom, right } = box;
  const columns = right - left + 1; // corners in a row of the box
  const visited = new Uint8Array(columns * (bottom - top + 1) * 4);
  const borders = [];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      if (!mask.has(row, column)) continue;
      // Every border has an upper edge: an outer border at its top, a hole below its lowest row.
      if (mask.has(row - 1, column)) continue;
      const start = ((row - top) * columns + column - left) * 4;
      if (!visited[start]) borders.push(traceBorder(mask, row, column, box, columns, visited));
    }
  }
  return borders;
}

/**
 * Whether a border edge starts at a corner in a direction: lesion on its right, none on its left.
 * @param {import("./mask.js").Mask} mask
 * @param {number} row
 * @param {number} column
 * @param {number} direction index of STEPS
 */
function hasEdge(mask, row, column, direction) {
  if (direction === 0) return mask.has(row, column) && !mask.has(row - 1, column);
  if (direction === 1) return mask.has(row, column - 1) && !mask.has(row, column);
  if (direction === 2) return mask.has(row - 1, column - 1) && !mask.has(row, column - 1);
  return mask.has(row - 1, column) && !mask.has(row - 1, column - 1);
}

/**
 * Follow one border from a corner, to the right first.
 * @param {import("./mask.js").Mask} mask
 * @param {number} startRow
 * @param {number} startColumn
 * @param {{top: number, left: number}} box
 * @param {number} columns corners in a row of the box
 * @param {Uint8Array} visited edges that a border has passed: 4 directions a corner
 */
function traceBorder(mask, startRow, startColumn, box, columns, visited) {
  const line = [];
  let [row, column, direction] = [startRow, startColumn, 0];
  let previous = -1;
  do {
    visited[((row - box.top) * columns + column - box.left) * 4 + direction] = 1;
    if (direction !== previous) line.push(column, row);
    previous = direction;
    row += STEPS[direction][0];
    column += STEPS[direction][1];
    // Left first: where two pixels touch at a corner the border encloses both.
    const turns = [(direction + 3) % 4, direction];
    direction = turns.find((turn) => hasEdge(mask, row, column, turn)) ?? (direction + 1) % 4;
  } while (row !== startRow || column !== startColumn || direction !== 0);
  return line;
}

/**
 * Smooth a border for display at low zoom: steps of one pixel are cut across their corners, long straight parts
 * stay in place.
 * @param {number[]} line as `traceBorders` gives it
 */
export function smoothBorder(line) {
  const smooth = [];
  const count = line.length / 2;
  for (let k = 0; k < count; k += 1) {
    const [x, y] = [line[2 * k], line[2 * k + 1]];
    const next = (k + 1) % count;
    const [dx, dy] = [line[2 * next] - x, line[2 * next + 1] - y];
    const long = Math.abs(dx) + Math.abs(dy);
    const half = Math.min(0.5, long / 2) / long;
    smooth.push(x + dx * half, y + dy * half);
    if (long > 1) smooth.push(x + dx * (1 - half), y + dy * (1 - half));
  }
  return smooth;
}
