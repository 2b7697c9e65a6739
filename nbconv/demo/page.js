"use strict";
// The page: what happens to a picture, and how the parts are connected.

const LARGEST_PICTURE = 1024; // pixels of the longer side of a picture that is read
const WARM_UPS = 20; // with fewer the first stroke takes longer, see benchmarks/demo.py

class Page {
  constructor(described) {
    const net = new Network(described);
    const { preparation, pictureShape, classNames } = described;
    Object.assign(this, { net, preparation, pictureShape, classNames, label: null, cost: NaN });
    this.isUnit = net.last.isSoftmax || net.last.activation.name === "sigmoid";
    this.outputName = net.last.isSoftmax ? "probability" : "activation";
    this.image = new Float64Array(net.layers[0].dx.length);
    this.find = (name) => document.querySelector(`.${name}`);
    this.board = new Board(this.find("board"), Math.max(...pictureShape), () => this.drawn());
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
    if (described.examples.length) this.seeExample(described.examples[0]);
    else this.clear();
    this.layOut();
    this.pointAtStrongest();
    this.warmUp(WARM_UPS);
  }

  /** Compute for nothing, a bar for a drawing: the first stroke then finds the code compiled. */
  warmUp(times) {
    if (!times) return;
    const picture = this.board.picture();
    const [{ data }] = picture.planes;
    data.fill(0, 0.4 * data.length, 0.6 * data.length);
    prepare(picture, this.pictureShape, this.preparation);
    this.net.forward(this.image);
    setTimeout(() => this.warmUp(times - 1));
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
      button.addEventListener("click", () => this.seeExample(example));
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
  seeExample({ image, canvas, label }) {
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
      if (this.board.isDrawing) this.seeBoard(); // and not yet cleared
    });
  }

  /** The drawing so far. Maps, then gradients come after the frame: a stroke waits for one only. */
  seeBoard() {
    this.take(prepare(this.board.picture(), this.pictureShape, this.preparation));
    this.showAnswer();
    this.follow(() => this.showMaps(), () => this.showGradients());
  }

  /** Do these one by one, as soon as there is time. What is still to do is then left out. */
  follow(next, ...others) {
    clearTimeout(this.following);
    if (next) this.following = setTimeout(() => { next(); this.follow(...others); });
  }

  see(prepared) {
    this.take(prepared);
    this.update();
  }

  /** Take a prepared picture. */
  take({ image, done, doubt }) {
    this.image = image;
    this.find("done").textContent = [doubt, ...done].filter(Boolean).join("; ");
  }

  /** Everything again, from the image on. */
  update() {
    this.follow();
    this.showAnswer();
    this.showMaps();
    this.showGradients();
  }

  showAnswer() {
    this.net.forward(this.image);
    this.seen.draw(this.image);
    this.answer.show();
    this.tell();
  }

  showMaps() {
    this.figures.forEach((figure, number) => figure.draw(this.net.layers[number].a));
  }

  /** The gradients, if a label is chosen, and the panel, which has some of them. */
  showGradients() {
    if (this.label !== null) this.cost = this.net.backward(this.label);
    this.panel.show(this.neuron);
    this.learning.show();
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
