"use strict";
// The parts of the page: the board, pictures, and bars.

const PEN = 0.075; // of the board's side
const DRAWN = [84, 256]; // pixels of the board's side that are read: the least and the most
const DRAWN_FOR_ONE = 3; // of them, for one of the network's picture
const MOST_BARS = 12; // classes that are all shown; of more, the best ten

/** A network's input as a picture, enlarged, on which a receptive field can be outlined. */
class PictureView {
  constructor([channels, rows, columns], label) {
    Object.assign(this, { channels, rows, columns });
    this.canvas = element("canvas", { role: "img", "aria-label": label });
    [this.canvas.width, this.canvas.height] = [columns, rows];
    this.context = this.canvas.getContext("2d");
    this.pixels = this.context.createImageData(columns, rows);
    this.mark = element("div", { class: "mark", hidden: "" });
    this.root = element("div", { class: "picture" }, this.canvas, this.mark);
  }

  draw(image) {
    const area = this.rows * this.columns;
    for (let p = 0; p < area; p++) {
      for (let c = 0; c < 3; c++) {
        const value = image[(this.channels === 3 ? c : 0) * area + p];
        this.pixels.data[4 * p + c] = Math.round(BYTE * value);
      }
      this.pixels.data[4 * p + 3] = BYTE;
    }
    this.context.putImageData(this.pixels, 0, 0);
  }
}
/** The board: a canvas to draw on; it also shows the picture or the example that was chosen. */
class Board {
  /** longer: the longer side of the network's pictures. onChange(): a stroke was drawn. */
  constructor(canvas, longer, onChange) {
    Object.assign(this, { canvas, onChange, isDrawing: false });
    this.side = clip(DRAWN_FOR_ONE * longer, ...DRAWN);
    this.context = canvas.getContext("2d");
    this.small = element("canvas", { width: this.side, height: this.side });
    this.smallContext = this.small.getContext("2d", { willReadFrequently: true });
    this.smallContext.imageSmoothingQuality = "high";
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => { this.last = null; });
    }
  }

  clear() {
    const { width, height } = this.canvas;
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, width, height);
    Object.assign(this, { isDrawing: false, last: null });
    this.canvas.classList.add("is-drawn"); // and no picture: dark at night
  }

  /** Show another picture, in the middle; the next stroke begins a new drawing. */
  show(source) {
    this.clear();
    const { width, height } = this.canvas;
    const scale = Math.min(width / source.width, height / source.height);
    const size = [source.width * scale, source.height * scale];
    this.context.imageSmoothingEnabled = scale < 1;
    this.context.drawImage(
      source, (width - size[0]) / 2, (height - size[1]) / 2, ...size);
    this.canvas.classList.remove("is-drawn");
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }

  begin(event) {
    if (event.button) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    if (!this.isDrawing) this.clear();
    Object.assign(this, { isDrawing: true, last: this.at(event) });
    this.line(this.last, this.last);
  }

  go(event) {
    if (!this.last) return;
    for (const each of event.getCoalescedEvents?.() || [event]) {
      const next = this.at(each);
      this.line(this.last, next);
      this.last = next;
    }
  }

  line(from, to) {
    const { context } = this;
    Object.assign(context, { lineCap: "round", lineWidth: PEN * this.canvas.width });
    context.strokeStyle = "#111";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    this.onChange();
  }

  /** What is drawn, as a picture. */
  picture() {
    this.smallContext.drawImage(this.canvas, 0, 0, this.side, this.side);
    return pictureOf(this.smallContext.getImageData(0, 0, this.side, this.side));
  }
}

/** A name, a bar and its number. */
class Bar {
  constructor(name) {
    this.name = element("span", { class: "name", text: name });
    this.fill = element("span", { class: "fill" });
    this.value = element("span", { class: "value" });
    const track = element("span", { class: "track", "aria-hidden": "true" }, this.fill);
    this.root = element("li", {}, this.name, track, this.value);
  }

  /** share: of the track, in [0, 1]. */
  show(share, text) {
    this.fill.style.width = `${100 * clip(share, 0, 1)}%`;
    this.value.textContent = text;
  }
}

/** The last layer's outputs as bars. */
class AnswerView {
  constructor(root, demo) {
    Object.assign(this, { root, demo });
    const count = Math.min(demo.classNames.length, MOST_BARS);
    this.rows = Array.from({ length: count < demo.classNames.length ? 10 : count }, () => {
      const row = new Bar("");
      root.querySelector(".bars").append(row.root);
      return row;
    });
  }

  show() {
    const { net, classNames, outputName } = this.demo, { a } = net.last;
    const best = largest(a);
    this.root.querySelector(".best").textContent = classNames[best];
    const text = (value) => (this.demo.isUnit ? value.toFixed(3) : shown(value));
    this.root.querySelector(".best-value").textContent = `${outputName} ${text(a[best])}`;
    let order = [...a.keys()];
    if (this.rows.length < a.length) order.sort((one, other) => a[other] - a[one]);
    const high = this.demo.isUnit ? 1 : rangeOf(a, "positive")[1];
    this.rows.forEach((row, k) => {
      const label = order[k];
      row.root.classList.toggle("is-best", label === best);
      row.root.classList.toggle("is-negative", a[label] < 0);
      row.name.textContent = classNames[label];
      row.show(Math.abs(a[label]) / high, text(a[label]));
    });
  }
}
