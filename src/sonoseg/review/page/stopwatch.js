/**
 * Time spent on a picture: counted while the page is seen and something happens now and then. No DOM.
 */

const IDLE = 60_000; // ms without a key or a movement after which nobody is taken to be reading

export class Stopwatch {
  /** @param {() => number} now milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    this.start(0);
  }

  /** Begin with the seconds that were spent before. */
  start(seconds) {
    this.total = seconds * 1000;
    this.sent = this.total;
    this.seen = this.now();
    this.paused = false;
  }

  /** Something happened: the time since the last happening counts, unless it was too long. */
  tick() {
    const at = this.now();
    if (!this.paused) this.total += Math.min(at - this.seen, IDLE);
    this.seen = at;
    this.paused = false;
  }

  /** The page is not seen any more: time stands still until the next tick. */
  pause() {
    this.tick();
    this.paused = true;
  }

  /** Seconds in all. */
  get seconds() {
    const open = this.paused ? 0 : Math.min(this.now() - this.seen, IDLE);
    return (this.total + open) / 1000;
  }

  /** Seconds since this was asked last: what the next edit took. */
  lap() {
    this.tick();
    const spent = this.total - this.sent;
    this.sent = this.total;
    return spent / 1000;
  }
}
