"use strict";
// Pictures as planes of numbers, and their sizes changed, as Pillow does it. A plane is {rows,
// columns, data}, data row by row in float64. A picture is {rows, columns, planes}: one plane of
// grey levels or three of colours, whole numbers to 255.

const BYTE = 255;

function plane(rows, columns, data = new Float64Array(rows * columns)) {
  return { rows, columns, data };
}

/** A plane of f(value, place) for each value: faster than the array's own `map`. */
function mapped({ rows, columns, data }, f) {
  const to = plane(rows, columns);
  for (let p = 0; p < data.length; p++) to.data[p] = f(data[p], p);
  return to;
}

const clip = (value, low, high) => Math.min(Math.max(value, low), high);

function most(data) {
  let best = -Infinity;
  for (let p = 0; p < data.length; p++) if (data[p] > best) best = data[p];
  return best;
}

function least(data) {
  let best = Infinity;
  for (let p = 0; p < data.length; p++) if (data[p] < best) best = data[p];
  return best;
}

function sum(data) {
  let total = 0;
  for (let p = 0; p < data.length; p++) total += data[p];
  return total;
}

/** To the nearest whole number, halves to the even one, as Python does. */
function rounded(value) {
  const below = Math.floor(value), rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** The percentile of numbers, between two of them in proportion. */
function percentile(values, percent) {
  const sorted = Float64Array.from(values).sort();
  const place = (sorted.length - 1) * percent / 100, k = Math.floor(place);
  return sorted[k] + (place - k) * (sorted[Math.min(k + 1, sorted.length - 1)] - sorted[k]);
}

const median = (values) => percentile(values, 50);

// Resizing, as Pillow does it: each new pixel is a weighted mean of those around its centre.

const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, (x) => {
    const a = -0.5, d = Math.abs(x);
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  }],
};

/** [first pixel, weights] of each new pixel along a side: `old` pixels, of which `span` count. */
function weightsOf(old, span, size, [reach, filter]) {
  const scale = span / size, stretch = Math.max(1, scale), support = reach * stretch;
  return Array.from({ length: size }, (_, k) => {
    const centre = (k + 0.5) * scale;
    const begin = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(old, Math.floor(centre + support + 0.5));
    const weights = [];
    for (let i = begin; i < end; i++) weights.push(filter((i - centre + 0.5) / stretch));
    const total = sum(weights);
    return [begin, weights.map((weight) => weight / total)];
  });
}

/**
 * A plane in another size. isLevels: of whole numbers, which it keeps. span: [rows, columns] of it
 * that count, parts of pixels included.
 */
function resized(image, rows, columns, kind, isLevels, span = [image.rows, image.columns]) {
  let from = image;
  if (columns !== from.columns || span[1] !== from.columns) {
    const to = plane(from.rows, columns);
    weightsOf(from.columns, span[1], columns, FILTERS[kind]).forEach(([begin, weights], x) => {
      for (let y = 0; y < from.rows; y++) {
        let total = 0;
        for (let k = 0; k < weights.length; k++) {
          total += weights[k] * from.data[y * from.columns + begin + k];
        }
        to.data[y * columns + x] = total;
      }
    });
    from = isLevels ? asLevels(to) : to;
  }
  if (rows === from.rows && span[0] === from.rows) return from;
  const to = plane(rows, columns);
  weightsOf(from.rows, span[0], rows, FILTERS[kind]).forEach(([begin, weights], y) => {
    for (let k = 0; k < weights.length; k++) {
      const at = (begin + k) * columns;
      for (let x = 0; x < columns; x++) {
        to.data[y * columns + x] += weights[k] * from.data[at + x];
      }
    }
  });
  return isLevels ? asLevels(to) : to;
}

const asLevels = (image) => mapped(image, (value) => clip(Math.floor(value + 0.5), 0, BYTE));

/** Levels in another size; much larger ones are first reduced by a whole factor. */
function shrunk(image, rows, columns, kind) {
  const factors = [image.rows / rows, image.columns / columns];
  const [down, right] = factors.map((factor) => Math.max(1, Math.floor(factor / 3)));
  const span = [image.rows / down, image.columns / right];
  return resized(reduced(image, down, right), rows, columns, kind, true, span);
}

/** The mean of each down x right pixels; at the edges of those that there are. */
function reduced(image, down, right) {
  if (down === 1 && right === 1) return image;
  const to = plane(Math.ceil(image.rows / down), Math.ceil(image.columns / right));
  for (let y = 0; y < to.rows; y++) {
    for (let x = 0; x < to.columns; x++) {
      const bottom = Math.min(image.rows, (y + 1) * down);
      const end = Math.min(image.columns, (x + 1) * right);
      let total = 0;
      for (let i = y * down; i < bottom; i++) {
        for (let j = x * right; j < end; j++) total += image.data[i * image.columns + j];
      }
      const count = (bottom - y * down) * (end - x * right);
      to.data[y * to.columns + x] = Math.floor(total / count + 0.5);
    }
  }
  return to;
}

// Pictures

/** A picture of RGBA pixels: transparent ones on white, or on black if white shows nothing. */
function pictureOf({ width, height, data }) {
  const on = (paper) => [0, 1, 2].map((c) => {
    const levels = plane(height, width);
    for (let p = 0; p < levels.data.length; p++) {
      const opaque = data[4 * p + 3] / BYTE;
      levels.data[p] = rounded(paper + (data[4 * p + c] - paper) * opaque);
    }
    return levels;
  });
  const white = on(BYTE);
  const isSeen = white.some((levels) => least(levels.data) < most(levels.data));
  const planes = isSeen ? white : on(0);
  const [red, green, blue] = planes.map((each) => each.data);
  const isGrey = red.every((level, p) => level === green[p] && level === blue[p]);
  return { rows: height, columns: width, planes: isGrey ? [planes[0]] : planes };
}

/** A picture with one plane or three: Pillow's grey. */
function withChannels({ rows, columns, planes }, channels) {
  if (planes.length === channels) return { rows, columns, planes };
  if (channels === 3) return { rows, columns, planes: [planes[0], planes[0], planes[0]] };
  const [red, green, blue] = planes.map((each) => each.data);
  const grey = red.map(
    (_, p) => Math.floor((19595 * red[p] + 38470 * green[p] + 7471 * blue[p] + 32768) / 65536));
  return { rows, columns, planes: [plane(rows, columns, grey)] };
}

/** The places of the outermost pixels, row by row. depth: how many of them. */
function borderPlaces(rows, columns, depth = 1) {
  const places = [];
  for (let y = 0; y < rows; y++) {
    const isInside = y >= depth && y < rows - depth && columns > 2 * depth;
    for (let x = 0; x < columns; x++) {
      if (isInside && x === depth) x = columns - depth; // on to the right edge
      places.push(y * columns + x);
    }
  }
  return Int32Array.from(places);
}

/** f(place) for each of some places. */
const at = (places, f) => new Float64Array(places.length).map((_, k) => f(places[k]));
const borderOf = ({ rows, columns, data }) => at(borderPlaces(rows, columns), (p) => data[p]);

/** A picture in the network's size, proportions kept; beside it its border's colour. */
function fitted(picture, [channels, rows, columns]) {
  const plain = withChannels(picture, channels);
  const scale = Math.min(columns / plain.columns, rows / plain.rows);
  let height = Math.max(1, rounded(plain.rows * scale));
  let width = Math.max(1, rounded(plain.columns * scale));
  if (Math.abs(height - rows) <= 1 && Math.abs(width - columns) <= 1) {
    [height, width] = [rows, columns];
  }
  const isSame = height === plain.rows && width === plain.columns;
  return plain.planes.map((each) => {
    const small = isSame ? each : shrunk(each, height, width, "bicubic");
    const paper = plane(rows, columns).data.fill(Math.floor(median(borderOf(small))));
    const top = Math.floor((rows - height) / 2), left = Math.floor((columns - width) / 2);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        paper[(top + y) * columns + left + x] = small.data[y * width + x];
      }
    }
    return plane(rows, columns, paper);
  });
}
