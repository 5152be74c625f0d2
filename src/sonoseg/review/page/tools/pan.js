import { Tool } from "./tool.js";

/** Pan: a drag moves the image. */
export class Pan extends Tool {
  get pans() {
    return true;
  }
}
