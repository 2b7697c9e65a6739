"use strict";
// Ink on any paper made like the training images' ink: nbconv/data/ink.py and what
// nbconv/data/preparation.py does with it, with their names and steps.

const STROKE = 0.4; // of the ink's strength, from which a pixel belongs to a stroke
const GRAIN = 0.12; // of the ink's strength, below which it is the paper's grain
const FAINT = 0.08; // difference from the paper, below which nothing is ink
const PARTS = 64; // pixels of the longer side in which separate parts are told
const WHOLE = 0.8; // of the edges of a part's box that a frame has
const MAX_PARTS = 40; // that are looked at
const SMALL_PART = 0.06; // of the largest part's area
const NEARLY_INK = 0.7; // of the ink's strength
const SHADOW_SHARE = 0.12; // of the border that may be in shadow
const PAPER = 96; // pixels of the longer side in which the paper's level is looked for
const WIDEST_STROKE = 0.25; // of a picture's longer side
const FRAME = 0.3; // difference from the paper, from which a line along an edge is a frame's
const ALL_ALONG = 0.5; // of the border that has ink, as grain, rasters and squared paper do
const WIDEST_FRAME = 0.1; // of a picture's side
const THIN = 0.75; // of the training images' width of strokes, below which strokes are thin
const ANALYSIS = 512; // pixels, of the longer side of what is searched for ink

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
  const levels = mapped(withChannels(given, 1).planes[0], (level) => level / BYTE);
  const grey = withoutFrame(levels, done);
  const [strength, isDark] = separated(grey);
  if (!strength) {
    done.push("no ink was found");
    return mapped(fitted(withChannels(given, 1), shape)[0], (level) => level / BYTE);
  }
  if (isDark !== ink.background > 0.5) done.push("inverted");
  const strong = mapped(strength, (value) => (value > STROKE ? 1 : 0));
  const kept = largeParts(strong);
  const large = boxOf(mapped(strong, (is, p) => is * kept.data[p]));
  const box = large || [0, grey.rows, 0, grey.columns];
  let crop = plane(box[1] - box[0], box[3] - box[2]);
  for (let y = 0; y < crop.rows; y++) {
    for (let x = 0; x < crop.columns; x++) {
      const p = (box[0] + y) * grey.columns + box[2] + x;
      crop.data[y * crop.columns + x] = kept.data[p] ? strength.data[p] : 0;
    }
  }
  done.push(`ink of ${crop.rows}x${crop.columns} moved and scaled`);
  if (mean(borderOf(kept)) > ALL_ALONG) {
    done.push("marks all along the edges, where plain paper is expected");
  }
  let small = scaled(crop, ink.box);
  const width = strokeWidth(small);
  if (ink.stroke && width < THIN * ink.stroke) {
    const radius = (ink.stroke - width) / 2 * Math.max(crop.rows, crop.columns) / ink.box;
    crop = spread(padded(crop, Math.ceil(radius)), 2 * rounded(radius) + 1);
    small = scaled(crop, ink.box);
    done.push("thin strokes made thicker");
  }
  const placed = placedIn(small, shape[1], shape[2], ink);
  return ink.background <= 0.5 ? placed : mapped(placed, (value) => 1 - value);
}

/** A picture without what runs along all four of its edges, as the dark rim of a scan does. */
function withoutFrame(grey, done) {
  const { rows, columns, data } = grey, some = new Float64Array(Math.ceil(data.length / 8));
  for (let k = 0; k < some.length; k++) some[k] = data[8 * k];
  const paper = median(some);
  const row = (y) => data.slice(y * columns, (y + 1) * columns);
  const column = (x) => Float64Array.from({ length: rows }, (_, y) => data[y * columns + x]);
  const depth = (count, line) => {
    let k = 0;
    while (k < count && Math.abs(median(line(k)) - paper) > FRAME) k++;
    return k;
  };
  const [top, bottom] = [depth(rows, row), depth(rows, (k) => row(rows - 1 - k))];
  const [left, right] = [depth(columns, column), depth(columns, (k) => column(columns - 1 - k))];
  const isNarrow = Math.max(top, bottom) <= WIDEST_FRAME * rows
    && Math.max(left, right) <= WIDEST_FRAME * columns;
  if (!Math.min(top, bottom, left, right) || !isNarrow) return grey;
  done.push("a frame cut away");
  const inner = plane(rows - top - bottom - 2, columns - left - right - 2); // and where it fades
  for (let y = 0; y < inner.rows; y++) {
    for (let x = 0; x < inner.columns; x++) {
      inner.data[y * inner.columns + x] = data[(top + 1 + y) * columns + left + 1 + x];
    }
  }
  return inner;
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
  const difference = mapped(grey, (value, p) => value - level.data[p]);
  const smooth = calm(difference).data;
  const isDark = -least(smooth) > most(smooth);
  // At the border a shadow is between paper and ink; strokes that touch it are ink.
  const strongest = Math.max(most(smooth), -least(smooth), FAINT);
  const shadows = errors.filter((e) => e / strongest > GRAIN && e / strongest < NEARLY_INK);
  const isFlat = shadows.length / errors.length < SHADOW_SHARE;
  const sign = isDark ? -1 : 1;
  const ink = isFlat ? mapped(difference, (value) => Math.max(sign * value, 0))
    : overPaper(isDark ? mapped(grey, (value) => 1 - value) : grey);
  const peak = most(calm(ink).data);
  if (peak < FAINT) return [null, isDark];
  const typical = median(ink.data.filter((value) => value > peak / 2));
  const strength = mapped(ink, (value) => clip(value / typical, 0, 1));
  // Grain, ruled lines and shadows are weak, and not where strokes are.
  const reach = 2 * Math.floor(Math.max(grey.rows, grey.columns) / 64) + 1;
  const near = spread(mapped(strength, (value) => (value > STROKE ? 1 : 0)), reach);
  return [mapped(strength, (v, p) => (near.data[p] && v >= GRAIN ? v : 0)), isDark];
}

/** [the paper's level as a plane through most of the border, how far the border is from it]. */
function paperPlane({ rows, columns, data }) {
  const places = borderPlaces(rows, columns, Math.max(1, Math.floor(Math.min(rows, columns) / 20)));
  const levels = at(places, (p) => data[p]);
  const down = at(places, (p) => Math.floor(p / columns) / rows);
  const right = at(places, (p) => (p % columns) / columns);
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
  const level = plane(rows, columns);
  for (let y = 0; y < rows; y++) {
    const atLeft = terms[0] + terms[1] * y / rows, step = terms[2] / columns;
    for (let x = 0; x < columns; x++) level.data[y * columns + x] = atLeft + step * x;
  }
  return [level, errors];
}

/** [u, v, w] with the least sum of (u + v down + w right - level)^2, of those that fit. */
function leastSquares(down, right, levels, fits) {
  let n = 0, y = 0, x = 0, yy = 0, yx = 0, xx = 0, level = 0, levelY = 0, levelX = 0;
  for (let p = 0; p < levels.length; p++) {
    if (!fits[p]) continue;
    n += 1;
    y += down[p];
    x += right[p];
    yy += down[p] * down[p];
    yx += down[p] * right[p];
    xx += right[p] * right[p];
    level += levels[p];
    levelY += levels[p] * down[p];
    levelX += levels[p] * right[p];
  }
  const rows = [[n, y, x, level], [y, yy, yx, levelY], [x, yx, xx, levelX]]; // normal equations
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

/**
 * How much lighter than the paper each pixel is, where ink is light. The paper's level is what
 * remains without lines of ink, a morphological opening: shadows are wider than strokes and stay.
 */
function overPaper(light) {
  const scale = Math.min(1, PAPER / Math.max(light.rows, light.columns));
  const [rows, columns] = [light.rows, light.columns].map(
    (side) => Math.max(1, rounded(side * scale)));
  const reach = 2 * rounded(Math.max(rows, columns) * WIDEST_STROKE / 2) + 1;
  const negative = (image) => mapped(image, (value) => -value);
  const small = resized(light, rows, columns, "box", false);
  const eroded = negative(spread(negative(small), reach)); // the least values
  const opened = spread(eroded, reach);
  const paper = resized(opened, light.rows, light.columns, "bilinear", false);
  return mapped(light, (value, p) => Math.max(value - paper.data[p], 0));
}

/** The largest of `reach` x `reach` values around each. */
function spread({ rows, columns, data }, reach) {
  const half = Math.floor(reach / 2);
  const across = new Float64Array(data.length), to = plane(rows, columns);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const row = y * columns, end = Math.min(columns - 1, x + half);
      let best = -Infinity;
      for (let j = Math.max(0, x - half); j <= end; j++) {
        if (data[row + j] > best) best = data[row + j];
      }
      across[row + x] = best;
    }
  }
  to.data.fill(-Infinity);
  for (let y = 0; y < rows; y++) {
    const end = Math.min(rows - 1, y + half);
    for (let i = Math.max(0, y - half); i <= end; i++) {
      for (let x = 0; x < columns; x++) {
        const value = across[i * columns + x];
        if (value > to.data[y * columns + x]) to.data[y * columns + x] = value;
      }
    }
  }
  return to;
}

/** The mean of 3 x 3 pixels, so that a single one decides nothing. */
function smoothed({ rows, columns, data }) {
  const to = plane(rows, columns);
  for (let y = 0; y < rows; y++) {
    const above = Math.max(0, y - 1) * columns, below = Math.min(rows - 1, y + 1) * columns;
    for (let x = 0; x < columns; x++) {
      const left = Math.max(0, x - 1), right = Math.min(columns - 1, x + 1), row = y * columns;
      const total = data[above + left] + data[above + x] + data[above + right] +
        data[row + left] + data[row + x] + data[row + right] +
        data[below + left] + data[below + x] + data[below + right];
      to.data[row + x] = total / 9;
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
    areas.push(filled(levels, part, first, areas.length));
  }
  if (areas.length === 1) return isInk;
  const bound = SMALL_PART * most(areas);
  const boxes = areas.map((area, number) => number && area >= bound
    && boxOf(plane(rows, columns, Float64Array.from(part, (is) => (is === number ? 1 : 0)))));
  const kept = areas.map((_, number) => boxes[number]
    && !isFrame(part, number, columns, boxes[number], boxes.filter(Boolean)));
  const isKept = Float64Array.from(part, (number) => (kept[number] ? 1 : 0));
  const near = spread(plane(rows, columns, isKept), 3);
  const to = plane(isInk.rows, isInk.columns);
  for (let y = 0; y < to.rows; y++) {
    const row = Math.floor((y + 0.5) * rows / to.rows) * columns;
    for (let x = 0; x < to.columns; x++) {
      to.data[y * to.columns + x] = near.data[row + Math.floor((x + 0.5) * columns / to.columns)];
    }
  }
  return to;
}

/** Whether a part runs along all edges of its box [top, bottom, left, right] around another. */
function isFrame(part, number, columns, [top, bottom, left, right], boxes) {
  const isThere = (y, x) => part[y * columns + x] === number;
  const isRow = (y) => (x) => isThere(y, x), isColumn = (x) => (y) => isThere(y, x);
  const share = (from, to, one, other) => {
    let found = 0;
    for (let k = from; k < to; k++) found += one(k) || other(k) ? 1 : 0;
    return found / (to - from);
  };
  const second = (first, last) => Math.min(first + 1, last - 1);
  const edges = [
    share(left, right, isRow(top), isRow(second(top, bottom))),
    share(left, right, isRow(bottom - 1), isRow(Math.max(top, bottom - 2))),
    share(top, bottom, isColumn(left), isColumn(second(left, right))),
    share(top, bottom, isColumn(right - 1), isColumn(Math.max(left, right - 2))),
  ];
  return edges.every((edge) => edge >= WHOLE) && boxes.some(([up, down, first, last]) =>
    top < up && down < bottom && left < first && last < right);
}

/** Number the part that a pixel belongs to, and give the sum of its levels. */
function filled({ rows, columns, data }, part, first, number) {
  const waiting = [first];
  let area = 0;
  part[first] = number;
  while (waiting.length) {
    const p = waiting.pop(), y = Math.floor(p / columns), x = p % columns;
    area += data[p];
    for (let i = Math.max(0, y - 1); i <= Math.min(rows - 1, y + 1); i++) {
      for (let j = Math.max(0, x - 1); j <= Math.min(columns - 1, x + 1); j++) {
        const q = i * columns + j;
        if (data[q] > 0 && !part[q]) {
          part[q] = number;
          waiting.push(q);
        }
      }
    }
  }
  return area;
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
