/**
 * Events between the parts of the page, each with a value ("detail").
 */

export class Emitter extends EventTarget {
  /**
   * @param {string} name
   * @param {(detail: any) => unknown} act gets the event's detail
   */
  on(name, act) {
    this.addEventListener(name, (event) => act(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {string} name @param {unknown} [detail] */
  emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
