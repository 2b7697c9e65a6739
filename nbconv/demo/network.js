"use strict";
// The mathematics of one picture, loop for loop as kernels/reference has it: the same names, the
// outputs first. Feature maps are flat arrays in the order (channel, row, column). All sums are in
// float64.

// The activation functions: kernels/scalar.py.

function activated(z, { name, slope }) {
  if (name === "sigmoid") return 1 / (1 + Math.exp(-z));
  if (name === "tanh") return Math.tanh(z);
  if (name === "relu") return z < 0 ? 0 : z;
  if (name === "leaky_relu") return z < 0 ? slope * z : z;
  return z;
}

/** sigma'(z) from a = sigma(z). */
function derivative(a, { name, slope }) {
  if (name === "sigmoid") return a * (1 - a);
  if (name === "tanh") return 1 - a * a;
  if (name === "relu") return a > 0 ? 1 : 0;
  if (name === "leaky_relu") return a > 0 ? 1 : slope;
  return 1;
}

/** a[i] = sigma(z[i]). */
function activationForward(a, z, activation) {
  for (let i = 0; i < a.length; i++) a[i] = activated(z[i], activation);
}

/** dz[i] = da[i] sigma'(z[i]). */
function activationBackward(dz, da, a, activation) {
  for (let i = 0; i < dz.length; i++) dz[i] = da[i] * derivative(a[i], activation);
}

/** x[c, i] = (image[c, i] - mean[c]) / deviation[c]: `gather`, kernels/reference/layout.py. */
function standardise(x, image, { mean, deviation }) {
  const inner = x.length / mean.length;
  for (let i = 0; i < x.length; i++) {
    const c = Math.floor(i / inner);
    x[i] = (image[i] - mean[c]) / deviation[c];
  }
}

// Convolution: kernels/reference/conv.py. Sizes are those of the layer, see `Convolution`.

/** padded[c, y + padding_y, x + padding_x] = a[c, y, x]; the border holds zeros. */
function conv2dPad(padded, a, { channels, inRows, inColumns, paddedRows, paddedColumns, padding }) {
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < inRows; y++) {
      const to = (c * paddedRows + y + padding[0]) * paddedColumns + padding[1];
      const from = (c * inRows + y) * inColumns;
      for (let x = 0; x < inColumns; x++) padded[to + x] = a[from + x];
    }
  }
}

/** da[c, y, x] = padded[c, y + padding_y, x + padding_x]. */
function conv2dUnpad(da, padded, sizes) {
  const { channels, inRows, inColumns, paddedRows, paddedColumns, padding } = sizes;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < inRows; y++) {
      const from = (c * paddedRows + y + padding[0]) * paddedColumns + padding[1];
      const to = (c * inRows + y) * inColumns;
      for (let x = 0; x < inColumns; x++) da[to + x] = padded[from + x];
    }
  }
}

/** z[f, y, x] = b[f] + sum_(c, i, j) w[f, c, i, j] a[c, y s_y + i, x s_x + j], (125). a: padded. */
function conv2dForward(z, a, w, b, sizes) {
  const { filters, channels, rows, columns, paddedRows, paddedColumns } = sizes;
  const [kernelRows, kernelColumns] = sizes.kernel, [strideY, strideX] = sizes.stride;
  for (let f = 0; f < filters; f++) {
    z.fill(b[f], f * rows * columns, (f + 1) * rows * columns);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < kernelRows; i++) {
        for (let j = 0; j < kernelColumns; j++) {
          const weight = w[((f * channels + c) * kernelRows + i) * kernelColumns + j];
          for (let y = 0; y < rows; y++) {
            const out = (f * rows + y) * columns;
            const from = (c * paddedRows + y * strideY + i) * paddedColumns + j;
            for (let x = 0; x < columns; x++) z[out + x] += weight * a[from + x * strideX];
          }
        }
      }
    }
  }
}

/**
 * dC/dw[f, c, i, j] = sum_(y, x) dz[f, y, x] a[c, y s_y + i, x s_x + j]. a: padded. Behind max
 * pooling most of dz is 0, and adds nothing.
 */
function conv2dBackwardWeights(dw, dz, a, sizes) {
  const { filters, channels, rows, columns, paddedRows, paddedColumns } = sizes;
  const [kernelRows, kernelColumns] = sizes.kernel, [strideY, strideX] = sizes.stride;
  dw.fill(0);
  for (let f = 0; f < filters; f++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const d = dz[(f * rows + y) * columns + x];
        if (d === 0) continue;
        for (let c = 0; c < channels; c++) {
          for (let i = 0; i < kernelRows; i++) {
            const to = ((f * channels + c) * kernelRows + i) * kernelColumns;
            const from = (c * paddedRows + y * strideY + i) * paddedColumns + x * strideX;
            for (let j = 0; j < kernelColumns; j++) dw[to + j] += d * a[from + j];
          }
        }
      }
    }
  }
}

/** dC/db[f] = sum_(y, x) dz[f, y, x]. */
function conv2dBackwardBiases(db, dz, { filters, rows, columns }) {
  db.fill(0);
  for (let f = 0; f < filters; f++) {
    for (let p = 0; p < rows * columns; p++) db[f] += dz[f * rows * columns + p];
  }
}

/** dC/da[c, Y, X] = sum of w[f, c, i, j] dz[f, y, x] where y s_y + i = Y, x s_x + j = X. */
function conv2dBackwardInput(da, dz, w, sizes) {
  const { filters, channels, rows, columns, paddedRows, paddedColumns } = sizes;
  const [kernelRows, kernelColumns] = sizes.kernel, [strideY, strideX] = sizes.stride;
  da.fill(0);
  for (let f = 0; f < filters; f++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const d = dz[(f * rows + y) * columns + x];
        if (d === 0) continue;
        for (let c = 0; c < channels; c++) {
          for (let i = 0; i < kernelRows; i++) {
            const from = ((f * channels + c) * kernelRows + i) * kernelColumns;
            const to = (c * paddedRows + y * strideY + i) * paddedColumns + x * strideX;
            for (let j = 0; j < kernelColumns; j++) da[to + j] += w[from + j] * d;
          }
        }
      }
    }
  }
}

// Pooling: kernels/reference/pool.py. visit(out, at, place) is called for each number of each
// window: `at` is its place in the input, `out` that of the window in the output.

function eachInWindow({ channels, rows, columns, inRows, inColumns, size, stride }, visit) {
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const out = (c * rows + y) * columns + x;
        for (let i = 0; i < size[0]; i++) {
          for (let j = 0; j < size[1]; j++) {
            const row = c * inRows + y * stride[0] + i;
            visit(out, row * inColumns + x * stride[1] + j);
          }
        }
      }
    }
  }
}

/** a[out] = max of x over the window; argmax[out]: its place. Of equal values the first. */
function maxPool2dForward(a, argmax, x, sizes) {
  argmax.fill(-1);
  eachInWindow(sizes, (out, at) => {
    if (argmax[out] < 0 || x[at] > a[out] || (Number.isNaN(x[at]) && !Number.isNaN(a[out]))) {
      a[out] = x[at];
      argmax[out] = at;
    }
  });
}

function maxPool2dBackward(dx, da, argmax) {
  dx.fill(0);
  for (let out = 0; out < da.length; out++) dx[argmax[out]] += da[out];
}

/** a[out] = sqrt(sum of x^2 over the window). */
function l2Pool2dForward(a, x, sizes) {
  a.fill(0);
  eachInWindow(sizes, (out, at) => { a[out] += x[at] * x[at]; });
  for (let out = 0; out < a.length; out++) a[out] = Math.sqrt(a[out]);
}

/** dC/dx = da x / a. Where a window is all zero, sqrt has no derivative: its share is 0. */
function l2Pool2dBackward(dx, da, a, x, sizes) {
  dx.fill(0);
  eachInWindow(sizes, (out, at) => { if (a[out] !== 0) dx[at] += da[out] * x[at] / a[out]; });
}

/** a[out] = mean of x over the window. */
function avgPool2dForward(a, x, sizes) {
  const weight = 1 / (sizes.size[0] * sizes.size[1]);
  a.fill(0);
  eachInWindow(sizes, (out, at) => { a[out] += weight * x[at]; });
}

function avgPool2dBackward(dx, da, sizes) {
  const weight = 1 / (sizes.size[0] * sizes.size[1]);
  dx.fill(0);
  eachInWindow(sizes, (out, at) => { dx[at] += weight * da[out]; });
}

// Batch normalisation: kernels/reference/batch_norm.py, with running statistics.

/** z[c, i] = w[c] (x[c, i] - mean[c]) / sqrt(variance[c] + epsilon) + b[c]. */
function batchNormForward(z, x, w, b, mean, variance, epsilon) {
  const inner = x.length / w.length;
  for (let c = 0; c < w.length; c++) {
    const factor = w[c] / Math.sqrt(variance[c] + epsilon);
    for (let i = c * inner; i < (c + 1) * inner; i++) z[i] = factor * (x[i] - mean[c]) + b[c];
  }
}

/** dC/dw[c] = sum_i dz y, dC/db[c] = sum_i dz, dC/dx = w[c] dz / sqrt(variance[c] + epsilon). */
function batchNormBackward(dx, dw, db, dz, x, w, mean, variance, epsilon) {
  const inner = x.length / w.length;
  for (let c = 0; c < w.length; c++) {
    const scale = 1 / Math.sqrt(variance[c] + epsilon);
    dw[c] = db[c] = 0;
    for (let i = c * inner; i < (c + 1) * inner; i++) {
      dw[c] += dz[i] * (x[i] - mean[c]) * scale;
      db[c] += dz[i];
      dx[i] = w[c] * scale * dz[i];
    }
  }
}

// Dense layers: kernels/reference/dense.py.

/** z[j] = b[j] + sum_k w[j, k] x[k], equation (25). */
function denseForward(z, x, w, b) {
  for (let j = 0; j < z.length; j++) {
    let total = b[j];
    for (let k = 0; k < x.length; k++) total += w[j * x.length + k] * x[k];
    z[j] = total;
  }
}

/** dC/dw[j, k] = dz[j] a[k], equation (BP4). */
function denseBackwardWeights(dw, dz, a) {
  for (let j = 0; j < dz.length; j++) {
    for (let k = 0; k < a.length; k++) dw[j * a.length + k] = dz[j] * a[k];
  }
}

/** dC/da[k] = sum_j w[j, k] dz[j], equation (BP2) before its factor sigma'(z). */
function denseBackwardInput(da, dz, w) {
  da.fill(0);
  for (let j = 0; j < dz.length; j++) {
    for (let k = 0; k < da.length; k++) da[k] += w[j * da.length + k] * dz[j];
  }
}

// Costs: kernels/reference/cost.py. Each writes delta = dC/dz and returns C.

/** Where z is largest; of equal values the first. */
function largest(z) {
  let best = 0;
  for (let j = 1; j < z.length; j++) if (z[j] > z[best]) best = j;
  return best;
}

/** a[j] = e^(z[j] - max) / sum_k e^(z[k] - max), equation (78). */
function softmax(a, z) {
  const highest = z[largest(z)];
  let total = 0;
  for (let j = 0; j < z.length; j++) total += Math.exp(z[j] - highest);
  for (let j = 0; j < z.length; j++) a[j] = Math.exp(z[j] - highest) / total;
}

/** C = -ln a_y, equation (80); delta = a - y, (81). */
function logLikelihood(delta, z, label) {
  const highest = z[largest(z)];
  let total = 0;
  for (let j = 0; j < z.length; j++) total += Math.exp(z[j] - highest);
  softmax(delta, z);
  delta[label] -= 1;
  return Math.log(total) + highest - z[label];
}

/** C = -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)], (63), in terms of z; delta = a - y, (66). */
function crossEntropy(delta, z, label) {
  let cost = 0;
  for (let j = 0; j < z.length; j++) {
    const y = j === label ? 1 : 0;
    cost += Math.max(z[j], 0) - y * z[j] + Math.log1p(Math.exp(-Math.abs(z[j])));
    delta[j] = activated(z[j], { name: "sigmoid" }) - y;
  }
  return cost;
}

/** C = |a - y|^2 / 2, equation (6); delta = (a - y) sigma'(z), (BP1). */
function quadratic(delta, z, label, activation) {
  let cost = 0;
  for (let j = 0; j < z.length; j++) {
    const y = j === label ? 1 : 0, a = activated(z[j], activation);
    cost += 0.5 * (a - y) * (a - y);
    delta[j] = (a - y) * derivative(a, activation);
  }
  return cost;
}

// Layers. Each keeps x, its input, a, its output, and after `backward` da, the gradient that it was
// given, dC/da, or dC/dz of the last layer; those with parameters also z, w, b, dw and db. Nothing
// needs dC/dx of the first layer.

/** The arrays that all layers have; shape: (channels, rows, columns) or (neurons) of the output. */
class Layer {
  constructor(described) {
    Object.assign(this, described);
    const count = (shape) => shape.reduce((product, size) => product * size, 1);
    this.a = new Float64Array(count(this.shape));
    this.dx = new Float64Array(count(this.inputShape));
    const [channels, inRows, inColumns] = this.inputShape, [, rows, columns] = this.shape;
    Object.assign(this, { channels, inRows, inColumns, rows, columns }); // of feature maps
    if (!this.weights) return;
    this.w = Float64Array.from(this.weights);
    this.b = Float64Array.from(this.biases);
    this.dw = new Float64Array(this.w.length);
    this.db = new Float64Array(this.b.length);
    this.z = new Float64Array(this.a.length);
    this.dz = new Float64Array(this.a.length);
  }

  /** w = w - eta dC/dw, b = b - eta dC/db. */
  step(eta) {
    if (!this.w) return;
    for (let t = 0; t < this.w.length; t++) this.w[t] -= eta * this.dw[t];
    for (let t = 0; t < this.b.length; t++) this.b[t] -= eta * this.db[t];
  }

  reset() {
    if (!this.w) return;
    this.w.set(this.weights);
    this.b.set(this.biases);
  }
}

class Convolution extends Layer {
  constructor(described) {
    super(described);
    this.paddedRows = this.inRows + 2 * this.padding[0];
    this.paddedColumns = this.inColumns + 2 * this.padding[1];
    this.filters = this.shape[0];
    this.padded = new Float64Array(this.channels * this.paddedRows * this.paddedColumns);
    this.dPadded = new Float64Array(this.padded.length);
  }

  forward(x) {
    this.x = x;
    conv2dPad(this.padded, x, this);
    conv2dForward(this.z, this.padded, this.w, this.b, this);
    activationForward(this.a, this.z, this.activation);
    return this.a;
  }

  backward(da, needsDx) {
    this.da = da;
    activationBackward(this.dz, da, this.a, this.activation);
    conv2dBackwardBiases(this.db, this.dz, this);
    conv2dBackwardWeights(this.dw, this.dz, this.padded, this);
    if (!needsDx) return this.dx;
    conv2dBackwardInput(this.dPadded, this.dz, this.w, this);
    conv2dUnpad(this.dx, this.dPadded, this);
    return this.dx;
  }
}

class Pooling extends Layer {
  constructor(described) {
    super(described);
    this.argmax = new Int32Array(this.a.length);
  }

  forward(x) {
    this.x = x;
    if (this.pool === "max") maxPool2dForward(this.a, this.argmax, x, this);
    else if (this.pool === "l2") l2Pool2dForward(this.a, x, this);
    else avgPool2dForward(this.a, x, this);
    return this.a;
  }

  backward(da) {
    this.da = da;
    if (this.pool === "max") maxPool2dBackward(this.dx, da, this.argmax);
    else if (this.pool === "l2") l2Pool2dBackward(this.dx, da, this.a, this.x, this);
    else avgPool2dBackward(this.dx, da, this);
    return this.dx;
  }
}

class BatchNormalisation extends Layer {
  forward(x) {
    this.x = x;
    batchNormForward(this.z, x, this.w, this.b, this.mean, this.variance, this.epsilon);
    activationForward(this.a, this.z, this.activation);
    return this.a;
  }

  backward(da) {
    this.da = da;
    activationBackward(this.dz, da, this.a, this.activation);
    const statistics = [this.mean, this.variance, this.epsilon];
    batchNormBackward(this.dx, this.dw, this.db, this.dz, this.x, this.w, ...statistics);
    return this.dx;
  }
}

/** A dense layer. scale: of its inputs, 1 but for the book's dropout. */
class Dense extends Layer {
  constructor(described) {
    super(described);
    this.x = new Float64Array(this.dx.length);
  }

  forward(x) {
    for (let k = 0; k < x.length; k++) this.x[k] = this.scale * x[k];
    denseForward(this.z, this.x, this.w, this.b);
    if (this.isSoftmax) softmax(this.a, this.z);
    else activationForward(this.a, this.z, this.activation);
    return this.a;
  }

  backward(da, needsDx) {
    this.da = da;
    if (this.isLast) this.dz.set(da); // the cost begins at z
    else activationBackward(this.dz, da, this.a, this.activation);
    denseBackwardWeights(this.dw, this.dz, this.x);
    this.db.set(this.dz);
    if (!needsDx) return this.dx;
    denseBackwardInput(this.dx, this.dz, this.w);
    for (let k = 0; k < this.dx.length; k++) this.dx[k] *= this.scale;
    return this.dx;
  }
}

const KINDS = {
  convolution: Convolution, pooling: Pooling, normalisation: BatchNormalisation, dense: Dense,
};

/** The network that the page was made of, with its layers in the book's order. */
class Network {
  constructor({ layers, cost, standard }) {
    this.standard = standard;
    this.layers = layers.map((described) => new KINDS[described.kind](described));
    this.last = this.layers[this.layers.length - 1];
    this.cost = cost;
    this.delta = new Float64Array(this.last.a.length);
    this.input = new Float64Array(this.layers[0].dx.length);
  }

  /** The last layer's activations for an image, flat numbers in [0, 1]. */
  forward(image) {
    standardise(this.input, image, this.standard);
    let a = this.input;
    for (const layer of this.layers) a = layer.forward(a);
    return a;
  }

  /** The cost of the label for the image of the last `forward`; layers then have gradients. */
  backward(label) {
    const { z, activation } = this.last;
    const costs = {
      "log-likelihood": logLikelihood, "cross-entropy": crossEntropy, quadratic,
    };
    const cost = costs[this.cost](this.delta, z, label, activation);
    let da = this.delta;
    for (const layer of [...this.layers].reverse()) {
      da = layer.backward(da, layer !== this.layers[0]);
    }
    return cost;
  }

  /** A step of gradient descent with the gradients of the last `backward`. */
  step(eta) {
    for (const layer of this.layers) layer.step(eta);
  }

  /** The checkpoint's parameters again. */
  reset() {
    for (const layer of this.layers) layer.reset();
  }
}
