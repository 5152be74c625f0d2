import { Tool } from "./tool.js";

/** Hand: a drag moves the picture. The viewer does that for every tool where Space is held; here it always does. */
export class Hand extends Tool {
  get moves() {
    return true;
  }
}
