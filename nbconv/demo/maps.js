"use strict";
// Numbers as colours: a mosaic of maps on a canvas, a legend, and which number a pointer is at.

const COLOURS = {
  light: {
    sequential: [[244, 246, 249], [158, 190, 218], [52, 116, 176], [8, 40, 90]],
    signed: [[160, 66, 0], [226, 138, 74], [247, 247, 246], [104, 163, 208], [0, 86, 150]],
  },
  dark: {
    sequential: [[34, 38, 45], [40, 84, 130], [92, 154, 208], [226, 240, 252]],
    signed: [[255, 176, 112], [176, 88, 24], [36, 39, 45], [32, 106, 168], [132, 196, 246]],
  },
};
const isDark = window.matchMedia("(prefers-color-scheme: dark)");
const MAP_PIXELS = 64; // that a map of few numbers is wide on the page
const NARROW = 480; // pixels of the page, below which maps are smaller
const GAP_PIXELS = 4; // between maps, about
const TALLEST = 18; // pixels on the page that one number is wide at most

/** 256 colours between stops, as a canvas has them in memory: red is the lowest byte. */
function palette(stops) {
  return Uint32Array.from({ length: 256 }, (_, k) => {
    const place = (k / 255) * (stops.length - 1);
    const first = Math.min(Math.floor(place), stops.length - 2);
    const [red, green, blue] = stops[first].map(
      (low, c) => Math.round(low + (place - first) * (stops[first + 1][c] - low)));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}

const PALETTES = Object.fromEntries(Object.entries(COLOURS).map(
  ([scheme, kinds]) => [scheme, Object.fromEntries(Object.entries(kinds).map(
    ([kind, stops]) => [kind, palette(stops)]))]));
const schemeName = () => (isDark.matches ? "dark" : "light");

/** Numbers for reading: three digits, with a real minus. */
function shown(value) {
  if (!Number.isFinite(value)) return String(value).replace("-", "−");
  const size = Math.abs(value);
  const isPlain = size === 0 || (size >= 0.001 && size < 100000);
  const text = isPlain ? String(Number(value.toPrecision(3))) : value.toExponential(2);
  return text.replace(/-/g, "−");
}

/**
 * The range of colours for numbers. kind: "unit" for those in [0, 1], "positive", or "signed".
 * [low, high] of the colours' ends.
 */
function rangeOf(values, kind) {
  if (kind === "unit") return [0, 1];
  let high = 0;
  for (let k = 0; k < values.length; k++) high = Math.max(high, Math.abs(values[k]));
  high = high > 0 && Number.isFinite(high) ? high : 1;
  return kind === "signed" ? [-high, high] : [0, high];
}

function element(name, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** Outline columns x rows pixels of a view's canvas, from (x, y) on, with its mark. */
function outline({ canvas, mark }, x, y, columns, rows) {
  mark.hidden = false;
  mark.style.left = `${(100 * x) / canvas.width}%`;
  mark.style.top = `${(100 * y) / canvas.height}%`;
  mark.style.width = `${(100 * columns) / canvas.width}%`;
  mark.style.height = `${(100 * rows) / canvas.height}%`;
}

/** A bar of the colours with the numbers at its ends. */
class Legend {
  constructor() {
    this.low = element("span");
    this.bar = element("span", { class: "colours" });
    this.high = element("span");
    this.root = element("span", { class: "legend" }, this.low, this.bar, this.high);
  }

  show([low, high]) {
    const kind = low < 0 ? "signed" : "sequential", look = kind + schemeName();
    if (this.look !== look) {
      const stops = COLOURS[schemeName()][kind].map((rgb) => `rgb(${rgb})`);
      this.bar.style.background = `linear-gradient(to right, ${stops})`;
      this.look = look;
    }
    this.low.textContent = shown(low);
    this.high.textContent = low < 0 ? `+${shown(high)}` : shown(high);
  }
}

/**
 * `count` maps of rows x columns numbers, side by side on one canvas, which the page enlarges.
 * across: maps in a row; by default as many as fit. pixels: how wide a map is on the page.
 * onPoint(index): called with the index of the number pointed at, if it is given; the canvas then
 * takes arrow keys, too.
 */
class Mosaic {
  constructor({ count, rows, columns, across, pixels = MAP_PIXELS, label, onPoint }) {
    Object.assign(this, { count, rows, columns, pixels, label, onPoint, index: 0 });
    this.fixedAcross = across;
    this.canvas = element("canvas", { role: "img", "aria-label": label });
    this.mark = element("div", { class: "mark", hidden: "" });
    this.root = element("div", { class: "mosaic" }, this.canvas, this.mark);
    this.context = this.canvas.getContext("2d");
    this.layOut(2 * NARROW);
    if (onPoint) this.listen();
  }

  /** Arrange the maps for a width on the page. True if that changed anything. */
  layOut(width) {
    const wanted = (width < NARROW ? 0.7 : 1) * this.pixels;
    const scale = clip(Math.round(wanted / this.columns), 1, TALLEST); // page pixels of a number
    const zoom = Math.max(1, Math.round(scale / GAP_PIXELS)); // canvas pixels of a number
    const gap = this.count > 1 ? 1 : 0; // canvas pixels
    const fitting = Math.floor((width * zoom / scale + gap) / (this.columns * zoom + gap));
    const most = clip(fitting, 1, this.count);
    const across = this.fixedAcross || Math.ceil(this.count / Math.ceil(this.count / most));
    if (across === this.across && zoom === this.zoom && scale === this.scale) return false;
    Object.assign(this, { across, zoom, scale, gap });
    [this.stepX, this.stepY] = [this.columns * zoom + gap, this.rows * zoom + gap];
    this.canvas.width = across * this.stepX - gap;
    this.canvas.height = Math.ceil(this.count / across) * this.stepY - gap;
    this.canvas.style.width = `${(this.canvas.width * scale) / zoom}px`;
    this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.words = new Uint32Array(this.image.data.buffer);
    return true;
  }

  /** Where a number is on the canvas: [x, y]. */
  place(index) {
    const area = this.rows * this.columns, map = Math.floor(index / area), at = index % area;
    const x = (map % this.across) * this.stepX + (at % this.columns) * this.zoom;
    const row = Math.floor(at / this.columns);
    return [x, Math.floor(map / this.across) * this.stepY + row * this.zoom];
  }

  draw(values, [low, high]) {
    const colours = PALETTES[schemeName()][low < 0 ? "signed" : "sequential"];
    const { rows, columns, zoom, words } = this, { width } = this.canvas;
    const factor = 255 / (high - low);
    for (let map = 0; map < this.count; map++) {
      const left = (map % this.across) * this.stepX;
      const top = Math.floor(map / this.across) * this.stepY;
      for (let y = 0; y < rows; y++) {
        const from = (map * rows + y) * columns, to = (top + y * zoom) * width + left;
        const end = Math.min(columns, values.length - from);
        for (let x = 0; x < end; x++) {
          const place = (values[from + x] - low) * factor;
          const colour = colours[place >= 0 ? Math.min(255, Math.round(place)) : 0];
          for (let z = 0; z < zoom; z++) words[to + x * zoom + z] = colour;
        }
        for (let z = 1; z < zoom; z++) words.copyWithin(to + z * width, to, to + end * zoom);
      }
    }
    this.values = values;
    this.context.putImageData(this.image, 0, 0);
  }

  /** Outline the number with that index, or nothing if there is none. */
  select(index) {
    this.mark.hidden = index === null;
    if (index === null) return;
    this.index = index;
    outline(this, ...this.place(index), this.zoom, this.zoom);
  }

  /** The index of the number under a pointer; null between maps. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.canvas.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.canvas.height);
    const right = Math.floor(x / this.stepX), down = Math.floor(y / this.stepY);
    const column = Math.floor((x - right * this.stepX) / this.zoom);
    const row = Math.floor((y - down * this.stepY) / this.zoom);
    const index = ((down * this.across + right) * this.rows + row) * this.columns + column;
    const isInside = x >= 0 && y >= 0 && right < this.across && column < this.columns;
    return isInside && row < this.rows && index < this.values.length ? index : null;
  }

  listen() {
    const { canvas } = this;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application"); // it takes the arrow keys
    canvas.setAttribute("aria-label", `${this.label}. Arrow keys choose a neuron.`);
    const point = (event) => {
      const index = this.at(event);
      if (index !== null) this.onPoint(index);
    };
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") point(event);
    });
    canvas.addEventListener("click", point);
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    const area = this.rows * this.columns, column = this.index % this.columns;
    const row = Math.floor((this.index % area) / this.columns);
    const steps = { // to the neighbour, or over the edge to the next map
      ArrowRight: column < this.columns - 1 ? 1 : area - this.columns + 1,
      ArrowLeft: column > 0 ? -1 : this.columns - 1 - area,
      ArrowDown: row < this.rows - 1 ? this.columns : this.across * area - row * this.columns,
      ArrowUp: row > 0 ? -this.columns : (this.rows - 1) * this.columns - this.across * area,
      Enter: 0,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const index = this.index + steps[event.key];
    if (index >= 0 && index < this.values.length) this.onPoint(index);
  }
}

/** A mosaic with a title and a legend, drawn in colours of a kind: see `rangeOf`. */
class Figure {
  constructor(title, about, mosaic, kind) {
    Object.assign(this, { mosaic, kind });
    this.legend = new Legend();
    const caption = element("figcaption", {},
      element("strong", { text: title }), element("span", { class: "quiet", text: about }),
      this.legend.root);
    this.root = element("figure", {}, caption, mosaic.root);
  }

  draw(values) {
    const range = rangeOf(values, this.kind);
    this.legend.show(range);
    this.mosaic.draw(values, range);
  }
}
