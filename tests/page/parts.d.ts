/** The parts of the page that main.js creates; a constructor takes those that it needs. */
interface Parts {
  session: import("../../src/sonoseg/review/page/session.js").Session;
  saver: import("../../src/sonoseg/review/page/mask_saver.js").MaskSaver;
  worklist: import("../../src/sonoseg/review/page/worklist.js").Worklist;
  viewer: import("../../src/sonoseg/review/page/viewer.js").Viewer;
  input: import("../../src/sonoseg/review/page/viewer_input.js").ViewerInput;
  review: import("../../src/sonoseg/review/page/review_form.js").ReviewForm;
  findings: import("../../src/sonoseg/review/page/findings.js").FindingsPanel;
  toolbar: import("../../src/sonoseg/review/page/toolbar.js").Toolbar;
  prediction: import("../../src/sonoseg/review/page/prediction.js").Prediction;
  loader: import("../../src/sonoseg/review/page/image_loading.js").ImageLoader;
  signing: import("../../src/sonoseg/review/page/signing.js").Signing;
  editing: import("../../src/sonoseg/review/page/editing.js").Editing;
  clip: import("../../src/sonoseg/review/page/clip.js").Clip;
}
