"use strict";
// Pictures made like the network's training images, as nbconv/data/preparation.py makes them: the
// same names and steps. ink.js has what is done to ink.

const INK = 0.2; // difference from the background, of the whole range, from which a pixel is ink
const MARGIN = 0.1; // by which a picture may lie outside of the training images' range
const FLAT_BACKGROUND = 0.15; // spread of the border among images that have one background
const BOX_SLACK = 1; // pixels by which boxes and centres may differ

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
  let exact = asUnits(picture.planes);
  if (ink && fits && !conforms(exact[0], ink) && conforms(inverse(exact)[0], ink)) {
    done.push("inverted");
    return inverse(exact);
  }
  if (ink && !(fits && conforms(exact[0], ink))) return [normalised(picture, shape, ink, done)];
  if (!hasSize) done.push(`resized from ${picture.rows}x${picture.columns}`);
  if (!fits) exact = asUnits(fitted(picture, shape));
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
  let top = rows, bottom = 0, left = columns, right = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!data[y * columns + x]) continue;
      if (y < top) top = y;
      bottom = y + 1;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
    }
  }
  return bottom ? [top, bottom, left, right] : null;
}

function centreOfMass({ rows, columns, data }) {
  let total = 0, down = 0, right = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const value = data[y * columns + x];
      total += value;
      down += value * y;
      right += value * x;
    }
  }
  return [down / total, right / total];
}
