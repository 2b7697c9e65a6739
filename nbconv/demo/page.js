"use strict";
// The page: the board and its picture, the answer, the layers, and what connects them.

const PEN = 0.075; // of the board's side
const DRAWN = 128; // pixels of the board's side that are read: four and more for one of MNIST's
const LARGEST_PICTURE = 1024; // pixels of the longer side of a picture that is read
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
  /** onChange(): something else is on it. */
  constructor(canvas, onChange) {
    Object.assign(this, { canvas, onChange, isBlank: true, isDrawing: false });
    this.context = canvas.getContext("2d");
    this.small = element("canvas", { width: DRAWN, height: DRAWN });
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
    Object.assign(this, { isBlank: true, isDrawing: false, last: null });
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
    this.isBlank = false;
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
    Object.assign(this, { isBlank: false, isDrawing: true, last: this.at(event) });
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
    this.smallContext.drawImage(this.canvas, 0, 0, DRAWN, DRAWN);
    return pictureOf(this.smallContext.getImageData(0, 0, DRAWN, DRAWN));
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
    this.root.querySelector(".best-value").textContent = `${outputName} ${shown(a[best])}`;
    let order = [...a.keys()];
    if (this.rows.length < a.length) order.sort((one, other) => a[other] - a[one]);
    const high = this.demo.isUnit ? 1 : rangeOf(a, "positive")[1];
    this.rows.forEach((row, k) => {
      const label = order[k];
      row.root.classList.toggle("is-best", label === best);
      row.root.classList.toggle("is-negative", a[label] < 0);
      row.name.textContent = classNames[label];
      const text = this.demo.isUnit ? a[label].toFixed(3) : shown(a[label]);
      row.show(Math.abs(a[label]) / high, text);
    });
  }
}

class Page {
  constructor(described) {
    const net = new Network(described);
    const { preparation, pictureShape } = described;
    const classNames = described.classNames ||
      Array.from({ length: net.last.a.length }, (_, label) => String(label));
    Object.assign(this, { net, preparation, pictureShape, classNames, label: null, cost: NaN });
    this.isUnit = net.last.isSoftmax || net.last.activation.name === "sigmoid";
    this.outputName = net.last.isSoftmax ? "probability" : "activation";
    this.image = new Float64Array(net.layers[0].dx.length);
    this.find = (name) => document.querySelector(`.${name}`);
    this.board = new Board(this.find("board"), () => this.drawn());
    this.seen = new PictureView(pictureShape, "What the network sees");
    this.find("seen").prepend(this.seen.root);
    this.answer = new AnswerView(this.find("answer"), this);
    this.figures = net.layers.map((layer, number) => this.figureOf(layer, number));
    const point = (number, index) => this.point(number, index);
    this.panel = new NeuronPanel(this.find("neuron"), this, point);
    this.learning = new LearningView(this.find("learning"), this, () => this.update(), point);
    this.find("size").textContent = pictureShape.slice(1).join("×");
    this.neuron = { number: 0, index: 0 };
    this.listen();
    this.offer(described.examples);
    if (described.examples.length) this.take(described.examples[0]);
    else this.clear();
    this.layOut();
    this.pointAtStrongest();
  }

  /** The kind of colours of a layer's outputs: see `rangeOf`. */
  kindOf(number) {
    const layer = this.net.layers[number];
    if (!layer) return "unit"; // the picture
    if (layer.kind === "pooling") {
      const before = this.kindOf(number - 1);
      return layer.pool === "l2" ? "positive" : before;
    }
    if (layer.isSoftmax || layer.activation.name === "sigmoid") return "unit";
    return layer.activation.name === "relu" ? "positive" : "signed";
  }

  inputKind(number) {
    return this.kindOf(number - 1);
  }

  figureOf(layer, number) {
    const maps = mapsOf(layer.shape);
    const size = layer.shape.length === 1 ? `${layer.shape[0]} neurons`
      : `${maps.count} ${maps.count === 1 ? "map" : "maps"} of ${maps.rows}×${maps.columns}`;
    const isNamed = layer.activation && !layer.isSoftmax && layer.activation.name !== "linear";
    const about = isNamed ? `${layer.about}, ${layer.activation.name}` : layer.about;
    const mosaic = new Mosaic({
      ...maps, label: `${layer.notation}, ${size}`, onPoint: (index) => this.point(number, index),
    });
    const figure = new Figure(layer.notation, `${about}: ${size}`, mosaic, this.kindOf(number));
    this.find("layers").append(figure.root);
    return figure;
  }

  listen() {
    this.find("clear").addEventListener("click", () => this.clear());
    this.find("file").addEventListener("change", (event) => {
      this.open(event.target.files[0]);
      event.target.value = "";
    });
    const over = (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", event.type === "dragover");
    };
    for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, over);
    document.addEventListener("drop", (event) => this.open(event.dataTransfer.files[0]));
    window.addEventListener("resize", () => this.layOut());
    isDark.addEventListener("change", () => this.update());
    this.find("close").addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    this.find("terms").addEventListener("toggle", () => this.panel.show(this.neuron));
  }

  /** The panel of a narrow page, which covers its lower end, is closed. */
  close() {
    document.body.classList.remove("picked");
  }

  offer(examples) {
    const [channels, rows, columns] = this.pictureShape;
    for (const example of examples) {
      const name = this.classNames[example.label];
      const view = new PictureView([channels, rows, columns], "");
      view.draw(example.image);
      view.canvas.removeAttribute("role");
      const attributes = { type: "button", "aria-label": `Example: ${name}` };
      const button = element("button", attributes, view.root);
      button.addEventListener("click", () => this.take(example));
      example.canvas = view.canvas;
      this.find("examples").append(button);
    }
    this.find("examples").hidden = !examples.length;
  }

  clear() {
    this.board.clear();
    const ink = this.preparation?.ink;
    const done = "The board is empty: the answer is that for a blank picture.";
    this.see({ image: this.image.fill(ink ? ink.background : 1), done: [done], doubt: "" });
  }

  /** An example goes to the network as it is. */
  take({ image, canvas, label }) {
    this.board.show(canvas);
    const done = [`An example of ${this.classNames[label]}, as it is.`];
    this.see({ image: image.slice(), done, doubt: "" });
  }

  /** A picture file, or what was dropped in its place. */
  async open(file) {
    if (!file) return;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      this.find("done").textContent =
        `${file.name} cannot be read: expected a picture that this browser shows, a PNG or JPEG`;
      return;
    }
    const scale = Math.min(1, LARGEST_PICTURE / Math.max(bitmap.width, bitmap.height));
    const canvas = element("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    this.board.show(canvas);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    this.see(prepare(pictureOf(pixels), this.pictureShape, this.preparation));
  }

  /** Once a frame at most, however many strokes there are. */
  drawn() {
    if (this.isWaiting) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      if (!this.board.isBlank) this.seeBoard();
    });
  }

  seeBoard() {
    this.see(prepare(this.board.picture(), this.pictureShape, this.preparation));
  }

  /** Take a prepared picture. */
  see({ image, done, doubt }) {
    this.image = image;
    this.find("done").textContent = [doubt, ...done].filter(Boolean).join("; ");
    this.update();
  }

  /** Everything again, from the image on. */
  update() {
    this.net.forward(this.image);
    if (this.label !== null) this.cost = this.net.backward(this.label);
    this.seen.draw(this.image);
    this.answer.show();
    this.figures.forEach((figure, number) => figure.draw(this.net.layers[number].a));
    this.panel.show(this.neuron);
    this.learning.show();
    this.tell();
  }

  /** The answer for a screen reader, once it has stood for a while. */
  tell() {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      const { a } = this.net.last, best = largest(a);
      this.find("said").textContent =
        `The answer is ${this.classNames[best]}, ${this.outputName} ${shown(a[best])}.`;
    }, 500);
  }

  point(number, index) {
    document.body.classList.add("picked");
    this.select(number, index);
  }

  select(number, index) {
    this.neuron = { number, index };
    this.figures.forEach(({ mosaic }, k) => mosaic.select(k === number ? index : null));
    const [top, bottom, left, right] =
      receptiveField(this.net.layers, number, index, this.pictureShape);
    outline(this.seen, left, top, right - left, bottom - top);
    this.panel.show(this.neuron);
  }

  /** At first, the neuron of the first layer whose activation is the largest. */
  pointAtStrongest() {
    this.select(0, largest(this.net.layers[0].a));
  }

  layOut() {
    this.figures.forEach(({ mosaic, root }) => mosaic.layOut(root.clientWidth));
    this.learning.layOut();
    this.panel.layOut();
    this.update();
    this.select(this.neuron.number, this.neuron.index);
  }
}

/** Numbers from base64, little-endian, of the dtype "float32", "float64" or "uint8". */
function decoded(text, dtype) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const kinds = { float32: Float32Array, float64: Float64Array, uint8: Uint8Array };
  return Float64Array.from(new kinds[dtype](bytes.buffer));
}

/** The network that nbconv wrote into the page, with its numbers decoded. */
function describedNetwork() {
  const described = JSON.parse(document.getElementById("network").textContent);
  for (const layer of described.layers) {
    for (const name of ["weights", "biases", "mean", "variance"]) {
      if (name in layer) layer[name] = decoded(layer[name], described.dtype);
    }
  }
  for (const example of described.examples) {
    example.image = decoded(example.pixels, "uint8").map((level) => level / BYTE);
  }
  return described;
}

const page = new Page(describedNetwork());
