/**
 * Conflicts: another reader or tab saved a mask or review of the same image. The reader chooses.
 */

import { formatTime } from "./format.js";
import { notice } from "./notices.js";

export class Conflicts {
  /** @param {Pick<Parts, "session" | "saver" | "viewer" | "review" | "worklist" | "loader">} parts */
  constructor({ session, saver, viewer, review, worklist, loader }) {
    this.session = session;
    this.saver = saver;
    this.viewer = viewer;
    this.review = review;
    this.worklist = worklist;
    this.loader = loader;
    saver.on("conflict", (detail) => this.askAboutMask(detail));
    review.on("conflict", (detail) => this.askAboutReview(detail));
    worklist.on("read", () => this.compareWithWorklist());
  }

  /** The worklist was read: the open image may have changed elsewhere. */
  compareWithWorklist() {
    const { session, saver } = this;
    const { image } = session;
    const item = image && this.worklist.items.find(({ id }) => id === image.id);
    if (!item) return;
    const revision = saver.revision(image.id);
    if (item.revision > revision && !saver.isPending(image.id) && !this.viewer.isEditing) {
      notice(`${item.reader || "Another reader"} edited this image at ${formatTime(item.updated_at)}.`, {
        key: "elsewhere",
        choices: { Reload: () => this.loader.open(image.id), "Not now": () => {} },
      });
    } else if (item.revision === revision && item.status !== image.item.status) {
      session.update(item);
    }
  }

  /**
   * The server has another mask than the one that ours was made from. Nothing is sent until the reader chooses.
   * @param {{id: string, current: Partial<Item> | null}} detail
   */
  async askAboutMask({ id, current }) {
    const { session, saver, viewer } = this;
    const image = session.isOpen(id) ? session.image : null;
    const item = await session.api.item(id).catch(() => null);
    const { revision = 0, name = id } = { ...current, ...item };
    const showTheirs = (/** @type {import("./mask.js").Mask | null} */ mask) => {
      viewer.theirs = mask;
      viewer.requestDraw();
    };
    if (image) showTheirs(await image.readMask("current").catch(() => null));
    const keepMine = () => {
      showTheirs(null);
      saver.resolve(id, revision, "mine");
    };
    const takeTheirs = () => {
      const { theirs } = viewer;
      showTheirs(null);
      saver.resolve(id, revision, "theirs");
      if (!image || session.image !== image) return;
      if (theirs) {
        // Our mask becomes an undo step.
        const mine = image.mask.copy();
        image.mask.assign(theirs);
        image.version += 1;
        image.history.record(mine, image.mask);
      }
      image.findings = item?.findings ?? image.findings;
      session.update(item ?? {});
      viewer.requestDraw();
    };
    const by = item?.reader || current?.reader || "another tab";
    const legend = image ? " Theirs is the dashed contour." : "";
    notice(`${name} was changed elsewhere (by ${by}) while you edited it.${legend}`, {
      key: `conflict-${id}`,
      choices: { "Keep mine": keepMine, "Take theirs": takeTheirs },
    });
  }

  /**
   * The server has another review, or another mask, than the one that our review was made from.
   * @param {{id: string, current: {version?: number | null}}} detail
   */
  async askAboutReview({ id, current }) {
    const { session, review } = this;
    if (!session.isOpen(id)) return;
    const item = await session.api.item(id);
    const version = item.review?.version ?? null;
    if (current.version === undefined && !this.saver.isPending(id)) {
      notice("The mask was changed elsewhere. Your review is not saved yet.", {
        key: "review",
        choices: { "Show the mask and save my review": () => this.reloadMask(id, version) },
      });
      return;
    }
    const takeTheirs = () => {
      Object.assign(session.item ?? {}, { review: item.review });
      review.show();
    };
    notice("Another reader saved a review of this image.", {
      key: "review",
      choices: { "Keep mine": () => review.saveOver(version), "Take theirs": takeTheirs },
    });
  }

  /** Open the image again and save the present review. @param {string} id @param {number | null} version */
  async reloadMask(id, version) {
    const { session, review } = this;
    const { values } = review;
    await this.loader.open(id);
    if (!session.isOpen(id)) return;
    review.setValues(values);
    await review.saveOver(version);
  }
}
