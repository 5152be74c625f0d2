/**
 * The border of a mask as closed lines. No DOM.
 */

// Right, down, left, up as [row, column]: the way along a border with the lesion on its right hand.
const STEPS = [[0, 1], [1, 0], [0, -1], [-1, 0]];

/**
 * Every border of a mask, holes included.
 * @param {import("./mask.js").Mask} mask
 * @returns {number[][]} each closed line as [x, y, x, y ...] along the pixel edges, its corners only; diagonal
 *   neighbours are one lesion (8-connected), as the findings count them
 */
export function rings(mask) {
  const box = mask.bounds();
  if (!box) return [];
  const { top, left, bottom, right } = box;
  const columns = right - left + 1; // corners in a row of the box
  const seen = new Uint8Array(columns * (bottom - top + 1) * 4);
  const found = [];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      if (!mask.has(row, column)) continue;
      // A border always has an upper edge: the outer one its topmost, a hole the one below its lowest row.
      if (mask.has(row - 1, column)) continue;
      const start = ((row - top) * columns + column - left) * 4;
      if (!seen[start]) found.push(walk(mask, row, column, box, columns, seen));
    }
  }
  return found;
}

/** Whether a border edge starts at a corner in a direction: the lesion on the right, none on the left. */
function edge(mask, row, column, way) {
  if (way === 0) return mask.has(row, column) && !mask.has(row - 1, column);
  if (way === 1) return mask.has(row, column - 1) && !mask.has(row, column);
  if (way === 2) return mask.has(row - 1, column - 1) && !mask.has(row, column - 1);
  return mask.has(row - 1, column) && !mask.has(row - 1, column - 1);
}

function walk(mask, startRow, startColumn, box, columns, seen) {
  const line = [];
  let [row, column, way] = [startRow, startColumn, 0];
  let before = -1;
  do {
    seen[((row - box.top) * columns + column - box.left) * 4 + way] = 1;
    if (way !== before) line.push(column, row);
    before = way;
    row += STEPS[way][0];
    column += STEPS[way][1];
    // Left first: where two pixels touch at a corner the border goes round both.
    way = [(way + 3) % 4, way, (way + 1) % 4].find((turn) => edge(mask, row, column, turn));
  } while (row !== startRow || column !== startColumn || way !== 0);
  return line;
}

/**
 * The same lines through the middles of their edges' ends, without the stairs of the pixels: better to look at
 * from afar. Each step of one pixel is cut across its corner; long straight parts stay where they are.
 */
export function softened(line) {
  const soft = [];
  const count = line.length / 2;
  for (let k = 0; k < count; k += 1) {
    const [x, y] = [line[2 * k], line[2 * k + 1]];
    const next = (k + 1) % count;
    const [dx, dy] = [line[2 * next] - x, line[2 * next + 1] - y];
    const long = Math.abs(dx) + Math.abs(dy);
    const half = Math.min(0.5, long / 2) / long;
    soft.push(x + dx * half, y + dy * half);
    if (long > 1) soft.push(x + dx * (1 - half), y + dy * (1 - half));
  }
  return soft;
}
