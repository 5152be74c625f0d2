/**
 * Lines, marks and labels on a canvas, with a dark halo so that they are visible on any grey.
 */

const HALO = "rgb(0 0 0 / .65)";

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} path
 * @param {string} colour
 * @param {object} [options]
 * @param {number} [options.width] of the line in screen pixels
 * @param {number} [options.pixel] size of a screen pixel in the context's units
 * @param {number[]} [options.dash] in screen pixels
 */
export function strokePath(context, path, colour, { width = 1.5, pixel = 1, dash = [] } = {}) {
  context.lineJoin = "round";
  context.strokeStyle = HALO;
  context.lineWidth = (width + 1.9) * pixel;
  context.stroke(path);
  context.strokeStyle = colour;
  context.lineWidth = width * pixel;
  context.setLineDash(dash.map((length) => length * pixel));
  context.stroke(path);
  context.setLineDash([]);
}

/** A path through points. @param {Point[]} points */
export function pathThrough(points) {
  const path = new Path2D();
  for (const { x, y } of points) path.lineTo(x, y); // the first one moves there
  return path;
}

/** A circle. @param {Point} centre @param {number} radius */
export function circle({ x, y }, radius) {
  const path = new Path2D();
  path.arc(x, y, radius, 0, 2 * Math.PI);
  return path;
}

/** A cross. @param {Point} centre @param {number} arm */
export function cross({ x, y }, arm) {
  return new Path2D(`M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}`);
}

/**
 * A text beside a point, kept on the canvas.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {Point} point
 * @param {string} colour
 * @param {Size} size of the canvas
 */
export function drawLabel(context, text, { x, y }, colour, size) {
  context.font = "600 13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const right = size.width - context.measureText(text).width - 6;
  const left = Math.max(4, Math.min(x + 10, right));
  // At the right edge the label would hide its own line: it moves above.
  const middle = Math.max(10, Math.min(left < x ? y - 20 : y, size.height - 10));
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / .8)";
  context.lineWidth = 3.5;
  context.strokeText(text, left, middle);
  context.fillStyle = colour;
  context.fillText(text, left, middle);
}
