"use strict";
// One neuron: its receptive field on the picture, its filter, and its equation with its numbers.

const MOST_TERMS = 50; // of a sum, that are listed
const PANEL_PIXELS = 300; // that the maps of the panel take in a row, unless they are too small
const SIGMA = { sigmoid: "σ", tanh: "tanh", relu: "ReLU", leaky_relu: "leaky ReLU" };

/** A layer's shape as maps for a mosaic: neurons in a row become a grid. */
function mapsOf(shape) {
  if (shape.length === 3) return { count: shape[0], rows: shape[1], columns: shape[2] };
  const columns = shape[0] <= 20 ? shape[0] : Math.max(20, Math.ceil(Math.sqrt(4 * shape[0])));
  return { count: 1, rows: Math.ceil(shape[0] / columns), columns, pixels: 18 * columns };
}

/** {channel, row, column} of a number of a layer; of neurons in a row only `channel`. */
function placeIn(shape, index) {
  if (shape.length === 1) return { channel: index };
  const area = shape[1] * shape[2], at = index % area;
  const row = Math.floor(at / shape[2]), column = at % shape[2];
  return { channel: Math.floor(index / area), row, column };
}

/** The part of a layer's input that its neurons [top, bottom, left, right] see; ends exclusive. */
function seenBy(layer, [top, bottom, left, right]) {
  if (!layer.stride) return layer.kind === "normalisation" ? [top, bottom, left, right] : null;
  const size = layer.kernel || layer.size, padding = layer.padding || [0, 0];
  const along = (first, end, side) => [
    first * layer.stride[side] - padding[side],
    (end - 1) * layer.stride[side] - padding[side] + size[side],
  ];
  return [...along(top, bottom, 0), ...along(left, right, 1)];
}

/** The receptive field of a neuron on the picture: [top, bottom, left, right]; ends exclusive. */
function receptiveField(layers, number, index, [, rows, columns]) {
  const { row, column } = placeIn(layers[number].shape, index);
  let field = row === undefined ? null : [row, row + 1, column, column + 1];
  for (let k = number; k >= 0 && field; k--) {
    field = seenBy(layers[k], field);
    // What a layer's padding stands for, nothing before it reaches.
    const inputs = k ? layers[k - 1].shape.slice(1) : [rows, columns];
    if (field) field = within(field, inputs);
  }
  return field || [0, rows, 0, columns];
}

/** The part of [top, bottom, left, right] that is in a map. */
function within([top, bottom, left, right], [rows, columns]) {
  return [Math.max(0, top), Math.min(rows, bottom), Math.max(0, left), Math.min(columns, right)];
}

/** The terms w x of a neuron's weighted input, {at, w, x}; at: the input's index, or null. */
function termsOf(layer, index) {
  const terms = [];
  if (layer.kind === "dense") {
    const n = layer.x.length;
    for (let k = 0; k < n; k++) terms.push({ at: k, w: layer.w[index * n + k], x: layer.x[k] });
    return terms;
  }
  const { channel, row, column } = placeIn(layer.shape, index);
  const [size, padding] = [layer.kernel || layer.size, layer.padding || [0, 0]];
  const channels = layer.kind === "convolution" ? layer.channels : 1;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < size[0]; i++) {
      for (let j = 0; j < size[1]; j++) {
        const y = row * layer.stride[0] - padding[0] + i;
        const x = column * layer.stride[1] - padding[1] + j;
        const isInside = y >= 0 && y < layer.inRows && x >= 0 && x < layer.inColumns;
        const map = layer.kind === "convolution" ? c : channel;
        const at = isInside ? (map * layer.inRows + y) * layer.inColumns + x : null;
        const w = layer.kind === "convolution"
          ? layer.w[((channel * layer.channels + c) * size[0] + i) * size[1] + j] : 1;
        terms.push({ at, w, x: at === null ? 0 : layer.x[at] });
      }
    }
  }
  return terms;
}

/** What tells a layer's inputs apart: "map, row, column", without what is always 1. */
function namesOf(shape) {
  if (shape.length === 1) return "neuron";
  return shape[0] > 1 ? "map, row, column" : "row, column";
}

/** An input's numbers, for `namesOf`. */
function nameOf(shape, index) {
  if (index === null) return "padding";
  const { channel, row, column } = placeIn(shape, index);
  if (row === undefined) return String(channel + 1);
  const places = shape[0] > 1 ? [channel, row, column] : [row, column];
  return places.map((place) => place + 1).join(", ");
}

function mathml(name, ...children) {
  const made = document.createElementNS("http://www.w3.org/1998/Math/MathML", name);
  made.append(...children);
  return made;
}

/** Letters and signs as MathML. */
const signs = (text) => [...text.matchAll(/[\d.]+|\S/gu)].map(([sign]) => mathml(
  /\p{L}/u.test(sign) ? "mi" : /\d/.test(sign) ? "mn" : "mo", sign));
const sub = (base, below) => mathml(
  "msub", mathml("mi", base), mathml("mrow", ...signs(below)));
const overSum = (letter) => mathml(
  "munder", mathml("mo", "∑"), mathml("mrow", ...signs(letter)));

/** An index of the input: j s + l - p, without what is not there. */
function shifted(out, inner, stride, padding) {
  const start = stride === 1 ? out : `${stride}${out}`;
  return `${start}+${inner}${padding ? `−${padding}` : ""}`;
}

/** A layer's equation in the book's letters, as MathML; its number in the book, or "". */
function equationOf(layer) {
  const sigma = (...inside) => {
    const name = layer.isSoftmax ? "softmax" : SIGMA[layer.activation.name];
    if (!name) return inside;
    return [mathml("mi", name), mathml("mo", "("), ...inside, mathml("mo", ")")];
  };
  if (layer.kind === "convolution") {
    const [row, column] = [["j", "l"], ["k", "m"]].map(
      ([out, inner], side) => shifted(out, inner, layer.stride[side], layer.padding[side]));
    const channel = layer.channels > 1 ? "c," : "";
    const sums = channel ? [overSum("c,l,m")] : [overSum("l"), overSum("m")];
    const [w, a] = [sub("w", `${channel}l,m`), sub("a", `${channel}${row},${column}`)];
    return [sigma(...signs("b+"), ...sums, w, a), "(125)"];
  }
  if (layer.kind === "dense") {
    const sum = [overSum("k"), sub("w", "jk"), sub("a", "k")];
    return [sigma(sub("b", "j"), ...signs("+"), ...sum), "(25)"];
  }
  if (layer.kind === "normalisation") {
    const spread = mathml("msqrt", ...signs("v+ε"));
    return [sigma(...signs("γ"), mathml("mfrac", mathml("mrow", ...signs("z−μ")), spread),
      ...signs("+β")), ""];
  }
  if (layer.pool === "max") return [[mathml("mi", "max"), sub("a", "l,m")], ""];
  const square = mathml("msup", sub("a", "l,m"), mathml("mn", "2"));
  const total = [overSum("l,m"), layer.pool === "l2" ? square : sub("a", "l,m")];
  if (layer.pool === "l2") return [[mathml("msqrt", ...total)], ""];
  const count = mathml("mn", `${layer.size[0] * layer.size[1]}`);
  const share = mathml("mfrac", mathml("mn", "1"), count);
  return [[share, ...total], ""];
}

/** A number behind others in a sum: " + 2" or " − 2". */
const added = (value) => (value < 0 ? ` − ${shown(-value)}` : ` + ${shown(value)}`);

/** The equation again, with this neuron's numbers. */
function numbersOf(layer, index, terms) {
  const a = shown(layer.a[index]);
  if (layer.kind === "pooling") {
    const values = terms.map(({ x }) => shown(x)).slice(0, 9).join(", ");
    const all = terms.length > 9 ? `${values}, …` : values;
    return { max: `max(${all}) = ${a}`, l2: `√(sum of squares of ${all}) = ${a}`,
      average: `mean of ${all} = ${a}` }[layer.pool];
  }
  const z = layer.z[index], name = layer.isSoftmax ? "softmax" : SIGMA[layer.activation.name];
  const after = layer.isSoftmax ? `a = softmax(z) = ${a}`
    : name ? `a = ${name}(${shown(z)}) = ${a}` : `a = z = ${a}`;
  if (layer.kind === "normalisation") {
    const { channel } = placeIn(layer.shape, index);
    const parts = [layer.w, layer.mean, layer.variance, layer.b];
    const [gamma, mu, v, beta] = parts.map((part) => part[channel]);
    const deviation = `√(${shown(v)} + ${shown(layer.epsilon)})`;
    const x = shown(layer.x[index]);
    return `${shown(gamma)} · (${x} − ${shown(mu)}) / ${deviation}${added(beta)} = ` +
      `${shown(z)}\n${after}`;
  }
  const b = layer.b[placeIn(layer.shape, index).channel];
  return `z = ${shown(b)}${added(z - b)} = ${shown(z)}\n${after}`;
}

/** The panel. demo: see page.js. onPick(number, index): a neuron was chosen in its form. */
class NeuronPanel {
  constructor(root, demo, onPick) {
    Object.assign(this, { root, demo, onPick });
    this.part = (name) => root.querySelector(`.${name}`);
    this.picture = new PictureView(demo.pictureShape, "The picture with the receptive field");
    this.part("field").append(this.picture.root);
    this.layer = this.part("layer");
    demo.net.layers.forEach((layer, number) => {
      this.layer.append(element("option", { value: number, text: layer.notation }));
    });
    this.inputs = ["map", "row", "column"].map((name) => this.part(name));
    for (const input of [this.layer, ...this.inputs]) {
      input.addEventListener("change", () => this.picked(input === this.layer));
    }
  }

  /** The form's neuron was changed; another layer begins with its first neuron. */
  picked(isOtherLayer) {
    const number = Number(this.layer.value), { shape } = this.demo.net.layers[number];
    const numbers = this.inputs.map((input, side) => {
      if (isOtherLayer || side >= shape.length) return 0;
      return clip(Math.round(Number(input.value)) || 1, 1, shape[side]) - 1;
    });
    const [channel, row, column] = numbers;
    const area = shape.length === 3 ? shape[1] * shape[2] : 1;
    this.onPick(number, channel * area + row * (shape[2] || 0) + column);
  }

  show({ number, index }) {
    const { net, pictureShape, image } = this.demo, layer = net.layers[number];
    const { channel, row, column } = placeIn(layer.shape, index);
    this.layer.value = number;
    this.inputs.forEach((input, side) => {
      const isThere = side < layer.shape.length;
      input.closest("label").hidden = !isThere;
      input.max = isThere ? layer.shape[side] : 1;
      input.value = isThere ? [channel, row, column][side] + 1 : 1;
    });
    this.part("map-name").textContent = row === undefined ? "neuron" : "map";
    this.picture.draw(image);
    const [top, bottom, left, right] = receptiveField(net.layers, number, index, pictureShape);
    outline(this.picture, left, top, right - left, bottom - top);
    const size = `${bottom - top}×${right - left}`;
    this.part("field-text").textContent = bottom > top && right > left
      ? `Its receptive field: ${size} pixels` : "Its receptive field is all padding";
    const terms = layer.kind === "normalisation" ? [] : termsOf(layer, index);
    this.showMaps(number, terms);
    this.showEquation(layer, index, terms);
    this.showTerms(layer, terms);
  }

  /** The inputs, the weights and their products as maps. */
  showMaps(number, terms) {
    const { net, pictureShape } = this.demo, layer = net.layers[number];
    if (this.mapsOf !== layer) {
      this.mapsOf = layer;
      const from = layer.kind !== "dense" ? null : number ? layer.inputShape : pictureShape;
      const [rows, columns] = layer.kernel || layer.size || [1, 1];
      const count = layer.kernel ? layer.channels : 1;
      const maps = from ? mapsOf(from) : { count, rows, columns };
      const pixels = clip(PANEL_PIXELS / maps.count, Math.max(20, 2 * maps.columns), 90);
      const w = layer.kernel ? "its filter w" : "its weights w";
      const titles = { a: "its inputs a", w, wa: "w a" };
      const names = layer.kind === "normalisation" ? [] : layer.w ? ["a", "w", "wa"] : ["a"];
      this.figures = names.map((name) => {
        const mosaic = new Mosaic({ ...maps, pixels, label: titles[name] });
        const kind = name === "a" ? this.demo.inputKind(number) : "signed";
        return [name, new Figure(titles[name], "", mosaic, kind)];
      });
      this.part("maps").replaceChildren(...this.figures.map(([, figure]) => figure.root));
      this.part("maps").classList.toggle("small", maps.count === 1 && maps.columns <= 14);
      this.layOut();
    }
    for (const [name, figure] of this.figures) {
      const value = { a: (t) => t.x, w: (t) => t.w, wa: (t) => t.w * t.x }[name];
      figure.draw(Float64Array.from(terms, value));
    }
  }

  layOut() {
    const width = this.part("maps").clientWidth || 330;
    for (const [, figure] of this.figures) figure.mosaic.layOut(width);
  }

  showEquation(layer, index, terms) {
    if (this.equationOf !== layer) {
      this.equationOf = layer;
      const [content, number] = equationOf(layer);
      const math = mathml("math", mathml("mrow", mathml("mi", "a"), mathml("mo", "="), ...content));
      math.setAttribute("display", "block");
      this.part("equation").replaceChildren(math, element("span", { text: number }));
    }
    this.part("numbers").textContent = numbersOf(layer, index, terms);
    const letter = layer.isLast ? "z" : "a";
    this.part("gradient").textContent = this.demo.label === null ? ""
      : `∂C/∂${letter} = ${shown(layer.da[index])}`;
  }

  /** The terms of the sum, the largest first. */
  showTerms(layer, terms) {
    const box = this.part("terms");
    box.hidden = !layer.w || !terms.length;
    if (box.hidden) return;
    this.part("terms-title").textContent = terms.length > MOST_TERMS
      ? `The largest ${MOST_TERMS} of ${terms.length.toLocaleString("en")} terms`
      : `The ${terms.length} terms`;
    if (!box.open) return;
    this.part("input-names").textContent = namesOf(layer.inputShape);
    const order = terms.map((term) => ({ ...term, product: term.w * term.x }));
    order.sort((one, other) => Math.abs(other.product) - Math.abs(one.product));
    this.part("rows").replaceChildren(...order.slice(0, MOST_TERMS).map(({ at, w, x, product }) =>
      element("tr", {}, element("th", { scope: "row", text: nameOf(layer.inputShape, at) }),
        ...[w, x, product].map((value) => element("td", { text: shown(value) })))));
  }
}
