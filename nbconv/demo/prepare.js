"use strict";
// Pictures made like the network's training images, as nbconv/data/preparation.py makes them: the
// same names and steps. A plane is {rows, columns, data}, data row by row in float64. A picture is
// {rows, columns, planes}: one plane of grey levels or three of colours, whole numbers to 255.

const BYTE = 255;
const INK = 0.2; // difference from the background, of the whole range, from which a pixel is ink
const MARGIN = 0.1; // by which a picture may lie outside of the training images' range
const FLAT_BACKGROUND = 0.15; // spread of the border among images that have one background
const STROKE = 0.4; // of the ink's strength, from which a pixel belongs to a stroke
const GRAIN = 0.12; // of the ink's strength, below which it is the paper's grain
const FAINT = 0.08; // difference from the paper, below which nothing is ink
const PARTS = 64; // pixels of the longer side in which separate parts are told
const MAX_PARTS = 40; // that are looked at
const SMALL_PART = 0.06; // of the largest part's area
const NEARLY_INK = 0.7; // of the ink's strength
const SHADOW_SHARE = 0.12; // of the border that may be in shadow
const PAPER = 96; // pixels of the longer side in which the paper's level is looked for
const WIDEST_STROKE = 0.25; // of a picture's longer side
const THIN = 0.75; // of the training images' width of strokes, below which strokes are thin
const ANALYSIS = 512; // pixels, of the longer side of what is searched for ink
const BOX_SLACK = 1; // pixels by which boxes and centres may differ

function plane(rows, columns, data = new Float64Array(rows * columns)) {
  return { rows, columns, data };
}

const mapped = (image, f) => plane(image.rows, image.columns, image.data.map(f));
const clip = (value, low, high) => Math.min(Math.max(value, low), high);
const most = (data) => data.reduce((a, b) => Math.max(a, b), -Infinity);
const least = (data) => data.reduce((a, b) => Math.min(a, b), Infinity);
const sum = (data) => data.reduce((a, b) => a + b, 0);

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

/** A plane in another size. isLevels: of whole numbers, which it keeps. span: see `reduced`. */
function resized(image, rows, columns, kind, isLevels, span = [image.rows, image.columns]) {
  const kept = isLevels ? (value) => clip(Math.floor(value + 0.5), 0, BYTE) : (value) => value;
  let from = image;
  if (columns !== from.columns || span[1] !== from.columns) {
    const to = plane(from.rows, columns);
    weightsOf(from.columns, span[1], columns, FILTERS[kind]).forEach(([begin, weights], x) => {
      for (let y = 0; y < from.rows; y++) {
        let total = 0;
        weights.forEach((w, k) => { total += w * from.data[y * from.columns + begin + k]; });
        to.data[y * columns + x] = kept(total);
      }
    });
    from = to;
  }
  if (rows === from.rows && span[0] === from.rows) return from;
  const to = plane(rows, columns);
  weightsOf(from.rows, span[0], rows, FILTERS[kind]).forEach(([begin, weights], y) => {
    for (let x = 0; x < columns; x++) {
      let total = 0;
      weights.forEach((w, k) => { total += w * from.data[(begin + k) * columns + x]; });
      to.data[y * columns + x] = kept(total);
    }
  });
  return to;
}

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
  const on = (paper) => {
    const planes = [0, 1, 2].map((c) => plane(height, width, Float64Array.from(
      { length: width * height },
      (_, p) => rounded(paper + (data[4 * p + c] - paper) * data[4 * p + 3] / BYTE))));
    return { rows: height, columns: width, planes };
  };
  const white = on(BYTE);
  const isSeen = white.planes.some(({ data: levels }) => least(levels) < most(levels));
  const { rows, columns, planes } = isSeen ? white : on(0);
  const [red, green, blue] = planes.map((each) => each.data);
  const isGrey = red.every((level, p) => level === green[p] && level === blue[p]);
  return { rows, columns, planes: isGrey ? [planes[0]] : planes };
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

/** The outermost pixels, row by row. depth: how many of them. */
function borderOf({ rows, columns, data }, depth = 1) {
  return data.filter((_, p) => {
    const y = Math.floor(p / columns), x = p % columns;
    return y < depth || y >= rows - depth || x < depth || x >= columns - depth;
  });
}

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

// Preparation

/**
 * {image, done, doubt}: a picture for the network, flat numbers in [0, 1]; what was done to it; and
 * why to doubt the answer, or "". shape: (channels, rows, columns) of the network's input. like:
 * its `Preparation`, or null to resize only.
 */
function prepare(picture, shape, like) {
  const done = [];
  const planes = preparedPlanes(picture, shape, like, done);
  const image = new Float64Array(shape[0] * shape[1] * shape[2]);
  planes.forEach(({ data }, c) => image.set(data, c * shape[1] * shape[2]));
  return { image, done, doubt: like ? doubtOf(planes, like) : "" };
}

function preparedPlanes(picture, shape, like, done) {
  const [channels, rows, columns] = shape;
  const hasSize = picture.rows === rows && picture.columns === columns;
  const fits = hasSize && picture.planes.length === channels;
  const ink = like && channels === 1 ? like.ink : null;
  const inverse = (planes) => planes.map((each) => mapped(each, (value) => 1 - value));
  const asUnits = (planes) => planes.map((each) => mapped(each, (level) => level / BYTE));
  if (ink) {
    const exact = fits && asUnits(picture.planes);
    if (exact && conforms(exact[0], ink)) return exact;
    if (exact && conforms(inverse(exact)[0], ink)) {
      done.push("inverted");
      return inverse(exact);
    }
    return [normalised(picture, shape, ink, done)];
  }
  if (!hasSize) done.push(`resized from ${picture.rows}x${picture.columns}`);
  const exact = asUnits(fitted(picture, shape));
  if (!like || !isInverse(exact, like)) return exact;
  done.push("inverted");
  return inverse(exact);
}

const mean = (values) => sum(values) / values.length;

/** The mean level of the planes' border, and of all of them. */
function levelsOf(planes) {
  const inside = mean(planes.map((each) => mean(each.data)));
  return { border: mean(planes.map((each) => mean(borderOf(each)))), mean: inside };
}

/** Why a prepared picture is unlike the training images, or "". */
function doubtOf(planes, like) {
  if (most(planes.map((p) => most(p.data))) - least(planes.map((p) => least(p.data))) < 0.02) {
    return "one colour: nothing to be seen";
  }
  const levels = levelsOf(planes);
  for (const name of ["border", "mean"]) {
    const [low, high] = like[name];
    if (levels[name] < low - MARGIN || levels[name] > high + MARGIN) {
      return `unlike the training images: ${name} ${levels[name].toFixed(2)}, ` +
        `theirs ${low.toFixed(2)} to ${high.toFixed(2)}`;
    }
  }
  return "";
}

/** Whether border and mean are unlike the training images', and the inverse's are like them. */
function isInverse(planes, like) {
  const [low, high] = like.border, [lowest, highest] = like.mean;
  if (high - low > 0.5) return false; // pictures with every kind of border
  const levels = levelsOf(planes);
  const isUsual = (edge, inside) => low - MARGIN <= edge && edge <= high + MARGIN &&
    lowest - MARGIN <= inside && inside <= highest + MARGIN;
  return !isUsual(levels.border, levels.mean) && isUsual(1 - levels.border, 1 - levels.mean);
}

/** Whether an image already has its ink in place, on the right background. */
function conforms(image, ink) {
  if (Math.abs(median(borderOf(image)) - ink.background) > FLAT_BACKGROUND) return false;
  const inks = mapped(image, (value) => Math.abs(value - ink.background));
  const box = boxOf(mapped(inks, (value) => (value > INK ? 1 : 0)));
  if (!box) return true; // a blank one: nothing can be done
  const [top, bottom, left, right] = box;
  const isMass = ink.centre === "mass";
  const [y, x] = isMass ? centreOfMass(inks) : [(top + bottom - 1) / 2, (left + right - 1) / 2];
  return Math.abs(Math.max(bottom - top, right - left) - ink.box) <= 2 * BOX_SLACK &&
    Math.abs(y - ink.place[0]) <= 2 * BOX_SLACK && Math.abs(x - ink.place[1]) <= 2 * BOX_SLACK;
}

/** [top, bottom, left, right] around what is not 0, the ends exclusive; null if nothing is. */
function boxOf({ rows, columns, data }) {
  let [top, bottom, left, right] = [rows, 0, columns, 0];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!data[y * columns + x]) continue;
      [top, bottom] = [Math.min(top, y), y + 1];
      [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    }
  }
  return bottom ? [top, bottom, left, right] : null;
}

function centreOfMass({ columns, data }) {
  let total = 0, down = 0, right = 0;
  data.forEach((value, p) => {
    total += value;
    down += value * Math.floor(p / columns);
    right += value * (p % columns);
  });
  return [down / total, right / total];
}

/** A picture's ink on the training images' background, in the size and place that theirs has. */
function normalised(picture, shape, ink, done) {
  let given = picture;
  const longer = Math.max(given.rows, given.columns);
  if (longer > ANALYSIS) {
    done.push(`resized from ${given.rows}x${given.columns}`);
    const [rows, columns] = [given.rows, given.columns].map(
      (side) => Math.max(1, rounded(side * ANALYSIS / longer)));
    given = { rows, columns, planes: given.planes.map((p) => shrunk(p, rows, columns, "box")) };
  }
  const grey = mapped(withChannels(given, 1).planes[0], (level) => level / BYTE);
  const [strength, isDark] = separated(grey);
  if (!strength) {
    done.push("no ink was found");
    return mapped(fitted(withChannels(given, 1), shape)[0], (level) => level / BYTE);
  }
  if (isDark !== ink.background > 0.5) done.push("inverted");
  const strong = mapped(strength, (value) => (value > STROKE ? 1 : 0));
  const kept = largeParts(strong);
  const inside = plane(grey.rows, grey.columns, strong.data.map((is, p) => is * kept.data[p]));
  const box = boxOf(inside) || [0, grey.rows, 0, grey.columns];
  let crop = plane(box[1] - box[0], box[3] - box[2]);
  for (let y = 0; y < crop.rows; y++) {
    for (let x = 0; x < crop.columns; x++) {
      const p = (box[0] + y) * grey.columns + box[2] + x;
      crop.data[y * crop.columns + x] = kept.data[p] ? strength.data[p] : 0;
    }
  }
  done.push(`ink of ${crop.rows}x${crop.columns} moved and scaled`);
  let small = scaled(crop, ink.box);
  const width = strokeWidth(small);
  if (ink.stroke && width < THIN * ink.stroke) {
    const radius = (ink.stroke - width) / 2 * Math.max(crop.rows, crop.columns) / ink.box;
    crop = spread(padded(crop, Math.ceil(radius)), 2 * rounded(radius) + 1, Math.max);
    small = scaled(crop, ink.box);
    done.push("thin strokes made thicker");
  }
  const placed = placedIn(small, shape[1], shape[2], ink);
  return ink.background <= 0.5 ? placed : mapped(placed, (value) => 1 - value);
}

/** Ink with a longer side of `box` pixels. */
function scaled(strength, box) {
  const scale = box / Math.max(strength.rows, strength.columns);
  const size = [strength.rows, strength.columns].map((side) => Math.max(1, rounded(side * scale)));
  const small = mapped(resized(strength, ...size, "bicubic", false), (value) => clip(value, 0, 1));
  const inks = small.data.filter((value) => value > INK);
  const peak = inks.length ? Math.max(percentile(inks, 90), INK) : 1;
  return mapped(small, (value) => clip(value / peak, 0, 1)); // thin strokes fade when made smaller
}

/** An image with `margin` zeros around it. */
function padded({ rows, columns, data }, margin) {
  const to = plane(rows + 2 * margin, columns + 2 * margin);
  for (let y = 0; y < rows; y++) {
    const row = data.subarray(y * columns, (y + 1) * columns);
    to.data.set(row, (y + margin) * to.columns + margin);
  }
  return to;
}

/** The mean width of strokes in pixels: twice their area over their outline. */
function strokeWidth(ink) {
  const { rows, columns, data } = padded(ink, 1);
  let outline = 0;
  for (let y = 0; y < rows - 1; y++) {
    for (let x = 0; x < columns - 1; x++) {
      const p = y * columns + x;
      outline += Math.hypot(data[p + columns] - data[p], data[p + 1] - data[p]);
    }
  }
  return 2 * sum(data) / Math.max(outline, 1e-6);
}

/** [the ink's strength in [0, 1], null if there is none; whether it is darker than the paper]. */
function separated(grey) {
  const isLarge = Math.min(grey.rows, grey.columns) >= 64;
  const calm = (image) => (isLarge ? smoothed(image) : image);
  const [level, errors] = paperPlane(grey);
  const smooth = calm(plane(grey.rows, grey.columns, grey.data.map((v, p) => v - level.data[p])));
  const isDark = -least(smooth.data) > most(smooth.data);
  // At the border a shadow is between paper and ink; strokes that touch it are ink.
  const strongest = Math.max(most(smooth.data.map(Math.abs)), FAINT);
  const shadows = errors.filter((e) => e / strongest > GRAIN && e / strongest < NEARLY_INK);
  const turned = (image) => (isDark ? mapped(image, (value) => 1 - value) : image);
  const light = turned(grey);
  const isFlat = shadows.length / errors.length < SHADOW_SHARE;
  const paper = isFlat ? turned(level) : paperOf(light);
  const ink = mapped(light, (value, p) => Math.max(value - paper.data[p], 0));
  const peak = most(calm(ink).data);
  if (peak < FAINT) return [null, isDark];
  const typical = median(ink.data.filter((value) => value > peak / 2));
  const strength = mapped(ink, (value) => clip(value / typical, 0, 1));
  // Grain, ruled lines and shadows are weak, and not where strokes are.
  const reach = 2 * Math.floor(Math.max(grey.rows, grey.columns) / 64) + 1;
  const near = spread(mapped(strength, (value) => (value > STROKE ? 1 : 0)), reach, Math.max);
  return [mapped(strength, (v, p) => (near.data[p] && v >= GRAIN ? v : 0)), isDark];
}

/** [the paper's level as a plane through most of the border, how far the border is from it]. */
function paperPlane(grey) {
  const { rows, columns } = grey;
  const depth = Math.max(1, Math.floor(Math.min(rows, columns) / 20));
  const levels = borderOf(grey, depth);
  const down = borderOf(mapped(grey, (_, p) => Math.floor(p / columns) / rows), depth);
  const right = borderOf(mapped(grey, (_, p) => (p % columns) / columns), depth);
  const middle = median(levels);
  let fits = levels.map((level) => (Math.abs(level - middle) <= 0.25 ? 1 : 0));
  let terms, errors;
  for (let round = 0; round < 3; round++) {
    terms = leastSquares(down, right, levels, fits);
    const [level, slope, tilt] = terms;
    errors = levels.map((v, p) => Math.abs(level + slope * down[p] + tilt * right[p] - v));
    const bound = Math.max(0.02, 2.5 * median(errors.filter((_, p) => fits[p])));
    fits = errors.map((error) => (error <= bound ? 1 : 0));
  }
  const at = (_, p) =>
    terms[0] + terms[1] * Math.floor(p / columns) / rows + terms[2] * (p % columns) / columns;
  return [mapped(grey, at), errors];
}

/** [u, v, w] with the least sum of (u + v down + w right - level)^2, of those that fit. */
function leastSquares(down, right, levels, fits) {
  const rows = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]; // the normal equations
  levels.forEach((level, p) => {
    const term = [1, down[p], right[p], level];
    if (fits[p]) rows.forEach((row, i) => term.forEach((t, j) => { row[j] += term[i] * t; }));
  });
  const tiny = 1e-12 * rows[0][0]; // a side of one pixel leaves its slope open: 0
  rows.forEach((row, i) => {
    if (Math.abs(row[i]) <= tiny) return;
    rows.forEach((other, j) => {
      const factor = other[i] / row[i];
      if (j !== i) row.forEach((value, k) => { other[k] -= factor * value; });
    });
  });
  return rows.map((row, i) => (Math.abs(row[i]) > tiny ? row[3] / row[i] : 0));
}

/** The paper's level at each pixel, where ink is lighter: a morphological opening. */
function paperOf(light) {
  const scale = Math.min(1, PAPER / Math.max(light.rows, light.columns));
  const [rows, columns] = [light.rows, light.columns].map(
    (side) => Math.max(1, rounded(side * scale)));
  const small = resized(light, rows, columns, "box", false);
  const reach = 2 * rounded(Math.max(rows, columns) * WIDEST_STROKE / 2) + 1;
  const opened = spread(spread(small, reach, Math.min), reach, Math.max);
  return resized(opened, light.rows, light.columns, "bilinear", false);
}

/** The least or largest (choose) of `reach` x `reach` values around each. */
function spread(image, reach, choose) {
  const half = Math.floor(reach / 2), { rows, columns } = image;
  const along = (from, size, step, others, otherStep) => {
    const to = new Float64Array(from.length);
    for (let o = 0; o < others; o++) {
      for (let k = 0; k < size; k++) {
        const end = Math.min(size - 1, k + half);
        let best = from[o * otherStep + k * step];
        for (let i = Math.max(0, k - half); i <= end; i++) {
          best = choose(best, from[o * otherStep + i * step]);
        }
        to[o * otherStep + k * step] = best;
      }
    }
    return to;
  };
  const across = along(image.data, rows, columns, columns, 1);
  return plane(rows, columns, along(across, columns, 1, rows, columns));
}

/** The mean of 3 x 3 pixels, so that a single one decides nothing. */
function smoothed({ rows, columns, data }) {
  const to = plane(rows, columns);
  for (let y = 0; y < rows; y++) {
    const above = Math.max(0, y - 1) * columns, below = Math.min(rows - 1, y + 1) * columns;
    for (let x = 0; x < columns; x++) {
      let total = 0;
      for (const i of [Math.max(0, x - 1), x, Math.min(columns - 1, x + 1)]) {
        total += data[above + i] + data[y * columns + i] + data[below + i];
      }
      to.data[y * columns + x] = total / 9;
    }
  }
  return to;
}

/** Where ink is or is near, without parts that are small beside the largest: specks, edges. */
function largeParts(isInk) {
  const scale = Math.min(1, PARTS / Math.max(isInk.rows, isInk.columns));
  const [rows, columns] = [isInk.rows, isInk.columns].map(
    (side) => Math.max(1, rounded(side * scale)));
  const levels = resized(isInk, rows, columns, "box", false);
  const part = new Int32Array(rows * columns); // 0: of none yet
  const areas = [0];
  while (areas.length <= MAX_PARTS) {
    let first = -1;
    levels.data.forEach((level, p) => {
      if (level > 0 && !part[p] && (first < 0 || level > levels.data[first])) first = p;
    });
    if (first < 0) break;
    const waiting = [first], number = areas.length;
    part[first] = number;
    areas.push(0);
    while (waiting.length) {
      const p = waiting.pop(), y = Math.floor(p / columns), x = p % columns;
      areas[number] += levels.data[p];
      for (let i = Math.max(0, y - 1); i <= Math.min(rows - 1, y + 1); i++) {
        for (let j = Math.max(0, x - 1); j <= Math.min(columns - 1, x + 1); j++) {
          const q = i * columns + j;
          if (levels.data[q] > 0 && !part[q]) {
            part[q] = number;
            waiting.push(q);
          }
        }
      }
    }
  }
  if (areas.length === 1) return isInk;
  const bound = SMALL_PART * most(areas);
  const isKept = Float64Array.from(part, (number) => (number && areas[number] >= bound ? 1 : 0));
  const near = spread(plane(rows, columns, isKept), 3, Math.max);
  return mapped(isInk, (_, p) => {
    const y = Math.floor((Math.floor(p / isInk.columns) + 0.5) * rows / isInk.rows);
    const x = Math.floor((p % isInk.columns + 0.5) * columns / isInk.columns);
    return near.data[y * columns + x];
  });
}

/** The ink at its place in an image of zeros. */
function placedIn(small, rows, columns, ink) {
  const isMass = ink.centre === "mass";
  const [y, x] = isMass ? centreOfMass(small) : [(small.rows - 1) / 2, (small.columns - 1) / 2];
  const top = clip(rounded(ink.place[0] - y), 0, Math.max(0, rows - small.rows));
  const left = clip(rounded(ink.place[1] - x), 0, Math.max(0, columns - small.columns));
  const image = plane(rows, columns);
  for (let i = 0; i < Math.min(small.rows, rows - top); i++) {
    for (let j = 0; j < Math.min(small.columns, columns - left); j++) {
      image.data[(top + i) * columns + left + j] = small.data[i * small.columns + j];
    }
  }
  return image;
}
