"use strict";
// Learning: the gradients of a chosen label's cost as maps, the speeds of learning, and steps of
// gradient descent on this one picture.

const MATRIX_PIXELS = 640; // that dC/dw of a dense layer is wide on the page

/**
 * How dC/dw is laid out as maps: a filter's channels in a row; a neuron's weights in a row, or, if
 * they see the picture, of that shape.
 */
function weightMaps(layer, shape) {
  const [rows, columns] = layer.kernel || [];
  if (layer.kind === "convolution") {
    const count = layer.filters * layer.channels;
    if (layer.channels === 1) return { count, rows, columns, pixels: 40 };
    const pixels = Math.max(2 * columns, Math.min(40, 480 / layer.channels));
    return { count, rows, columns, across: layer.channels, pixels };
  }
  if (shape) return { count: shape[0] * layer.shape[0], rows: shape[1], columns: shape[2] };
  const width = layer.kind === "normalisation" ? layer.w.length : layer.x.length;
  return { count: 1, rows: layer.w.length / width, columns: width, pixels: MATRIX_PIXELS };
}

class LearningView {
  /** demo: the state of page.js. onChange(): the label, or the weights, were changed. */
  constructor(root, demo, onChange, onPoint) {
    Object.assign(this, { root, demo, onChange, steps: [] });
    this.part = (name) => root.querySelector(`.${name}`);
    demo.classNames.forEach((name, label) => {
      const radio = element("input", { type: "radio", name: "label", value: label });
      radio.addEventListener("change", () => this.choose(label));
      this.part("labels").append(element("label", {}, radio, element("span", { text: name })));
    });
    this.answer = new AnswerView(this.part("answer"), demo);
    this.eta = this.part("eta");
    this.eta.addEventListener("input", () => this.showEta());
    this.part("step").addEventListener("click", () => this.step());
    this.part("reset").addEventListener("click", () => this.reset());
    this.makeFigures(onPoint);
    // Maps out of sight are not drawn: a frame has time for one part of the page.
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.isInSight = isIntersecting;
      this.drawGradients();
    }, { rootMargin: "300px" }).observe(this.part("gradients"));
    this.showEta();
  }

  get etaValue() {
    return Number((10 ** Number(this.eta.value)).toPrecision(2));
  }

  showEta() {
    this.part("eta-value").textContent = shown(this.etaValue);
    this.eta.setAttribute("aria-valuetext", shown(this.etaValue));
  }

  makeFigures(onPoint) {
    const { net, pictureShape } = this.demo;
    this.figures = net.layers.map((layer, number) => {
      const letter = layer.isLast ? "z" : "a";
      const activations = new Figure(`∂C/∂${letter}`, "", new Mosaic({
        ...mapsOf(layer.shape), label: `Gradient ∂C/∂${letter} of ${layer.notation}`,
        onPoint: (index) => onPoint(number, index),
      }), "signed");
      const parts = [[activations, () => layer.da]];
      if (layer.w) {
        const isFirst = number === 0 && layer.kind === "dense";
        const maps = weightMaps(layer, isFirst ? pictureShape : null);
        const name = layer.kind === "normalisation" ? "∂C/∂γ" : "∂C/∂w";
        const mosaic = new Mosaic({ ...maps, label: `Gradient ${name} of ${layer.notation}` });
        parts.push([new Figure(name, "", mosaic, "signed"), () => layer.dw]);
      }
      const title = element("h3", { text: layer.notation });
      const maps = parts.map(([figure]) => figure.root);
      this.part("gradients").append(element("div", { class: "stage" }, title, ...maps));
      return parts;
    }).flat();
    this.bars = net.layers.filter((layer) => layer.w).map((layer) => {
      const bar = new Bar(layer.notation);
      this.part("speeds").append(bar.root);
      return { layer, bar };
    });
  }

  choose(label) {
    this.demo.label = label;
    this.onChange();
  }

  /** The cost and the label's output, as they stand. */
  now() {
    const { net, label, cost } = this.demo;
    return { cost, output: net.last.a[label] };
  }

  step() {
    if (this.demo.label === null) return;
    const before = this.now(), eta = this.etaValue;
    this.demo.net.step(eta);
    this.onChange();
    this.steps.push({ eta, before, after: this.now(), label: this.demo.label });
    this.show();
  }

  reset() {
    this.demo.net.reset();
    this.steps = [];
    this.onChange();
  }

  show() {
    const { label, outputName, classNames } = this.demo, isChosen = label !== null;
    if (!isChosen) return;
    if (!this.root.classList.contains("chosen")) {
      this.root.classList.add("chosen");
      this.layOut();
    }
    const { cost, output } = this.now(), last = this.steps[this.steps.length - 1];
    const isLost = !Number.isFinite(cost);
    this.part("step").disabled = isLost;
    this.part("reset").disabled = !this.steps.length;
    this.part("cost").textContent =
      `The cost is ${shown(cost)}, the ${outputName} of ${classNames[label]} is ${shown(output)}.`;
    const count = this.steps.length;
    this.part("told").textContent = isLost
      ? "The cost is no number any more: the steps were too large. Reset, and choose a smaller η."
      : last ? `Step ${count} with η = ${shown(last.eta)}, towards ${classNames[last.label]}: ` +
        `the cost went from ${shown(last.before.cost)} to ${shown(last.after.cost)}, the ` +
        `${outputName} from ${shown(last.before.output)} to ${shown(last.after.output)}.` : "";
    const speeds = this.bars.map(({ layer }) => Math.sqrt(sum(layer.db.map((d) => d * d))));
    const fastest = Math.max(most(speeds), Number.MIN_VALUE);
    this.bars.forEach(({ bar }, k) => bar.show(speeds[k] / fastest, shown(speeds[k])));
    this.answer.show();
    this.drawGradients();
  }

  drawGradients() {
    if (this.demo.label === null || !this.isInSight) return;
    for (const [figure, values] of this.figures) figure.draw(values());
  }

  layOut() {
    for (const [{ mosaic, root }] of this.figures) mosaic.layOut(root.clientWidth);
  }
}
