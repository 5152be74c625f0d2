/**
 * Reading time of an image: counted while the page is visible and the reader is active. No DOM.
 */

const IDLE = 60_000; // ms without activity after which time is not counted

export class Stopwatch {
  total = 0; // ms
  reported = 0; // ms of `total` in earlier laps
  active = 0; // the time of the last activity
  paused = false;

  /** @param {() => number} now milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    this.start(0);
  }

  /** Start from the seconds spent before. @param {number} seconds */
  start(seconds) {
    this.total = seconds * 1000;
    this.reported = this.total;
    this.active = this.now();
    this.paused = false;
  }

  /** Count the time since the last activity, up to IDLE. */
  tick() {
    const at = this.now();
    if (!this.paused) this.total += Math.min(at - this.active, IDLE);
    this.active = at;
    this.paused = false;
  }

  /** The page is hidden: count nothing until the next tick. */
  pause() {
    this.tick();
    this.paused = true;
  }

  /** Seconds in all. */
  get seconds() {
    const open = this.paused ? 0 : Math.min(this.now() - this.active, IDLE);
    return (this.total + open) / 1000;
  }

  /** Seconds since the last lap: the time that an edit took. */
  lap() {
    this.tick();
    const spent = this.total - this.reported;
    this.reported = this.total;
    return spent / 1000;
  }
}
