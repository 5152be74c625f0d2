/**
 * The JSON of the server's API as far as the page reads it, and plain values that the page's modules share.
 * tests/review/test_page_files.py compares the former with the server's schema.
 */

interface Point { x: number; y: number }
interface Size { width: number; height: number }
/** Millimetres per pixel: row, column. */
type Spacing = [number, number];
/** Grey values row by row. */
interface GreyImage extends Size { values: Uint8Array<ArrayBuffer> }
interface GreyWindow { width: number; level: number }
interface Calliper { a: Point; b: Point }
/** A smart click; `inside`: on the lesion. */
interface ClickPoint { row: number; column: number; inside: boolean }
/** How a tool is pressed; `secondary`: the right button. `screen`: where on the canvas. */
interface Press { alt: boolean; shift: boolean; secondary: boolean; screen: Point }

type Status = "new" | "read" | "signed" | "referred";
/** What an edit of the mask was made with. */
type EditTool = "brush" | "eraser" | "polygon" | "click" | "clear" | "delete" | "model" | "undo" | "redo" | "other";
type SignAction = "sign" | "refer" | "reopen";

interface Item {
  id: string;
  name: string;
  clip: string;
  frame: number | null;
  frames: number;
  height: number;
  width: number;
  spacing: Spacing | null;
  spacing_reason: string | null;
  spacing_origin: string;
  status: Status;
  prediction: "none" | "waiting" | "running" | "done" | "failed";
  failure: string | null;
  uncertainty: number | null;
  warnings: string[];
  lesions: number | null;
  revision: number;
  source: "model" | "edited" | "manual";
  reader: string | null;
  signed_at: string | null;
  updated_at: string;
}

interface ItemDetails extends Item {
  findings?: Lesion[];
  review?: Review | null;
  model_threshold?: number | null;
}

/** Positions are row, column, with pixel centres at whole numbers. */
interface Lesion {
  lesion: number;
  unit: "mm" | "px";
  box: { top: number; left: number; height: number; width: number };
  centroid: [number, number];
  longest_axis: number;
  longest_axis_ends: [[number, number], [number, number]] | null;
  perpendicular: number;
  perpendicular_ends: [[number, number], [number, number]] | null;
  area: number;
  height_width_ratio: number;
  depth: number;
  orientation: string;
  echo_level: string | null;
  posterior: string | null;
}

/** The depth ruler beside a scan; ends are row, column. */
interface Ruler {
  ends: [[number, number], [number, number]];
  count: number;
  proposals: { tick: number; spacing: number }[];
}

interface Review {
  reader?: string;
  comment?: string | null;
  seconds?: number;
  version?: number | null;
  [descriptor: string]: string | number | null | undefined;
}

interface HistoryEntry {
  at: string;
  reader: string | null;
  action: string;
  tool: EditTool | null;
  revision: number;
  seconds: number | null;
}

interface Refusal { name: string; found: string; remedy: string | null }

interface ServerInfo {
  version: string;
  research_only: string;
  read_only: boolean;
  pacs: boolean;
  limits: { max_bytes?: number; max_body?: number };
  model: { name: string; hash: string; gates: number } | null;
  runtime?: string | null;
}

interface QueueRow {
  number: number;
  instance: string;
  sender: string;
  state: string;
  starts: number;
  attempts: number;
  refusals: number;
  next_at: string | null;
  reason: string | null;
  received_at: string;
  updated_at: string;
}

interface QueueReport {
  running: boolean | null;
  changed_at: string | null;
  waiting_since: string | null;
  due_at: string | null;
  counts: Record<"received" | "segmented" | "sent" | "failed", number>;
  total: number;
  rows: QueueRow[];
}
