"""From stored images to a mini-batch, and between feature maps and neurons."""

from ..compilation import FLAGS, PLAIN, njit
from ..scalar import MINI_BATCH


@njit(**PLAIN)
def gather(a, y, images, labels, order, counters, first, shifts, scale, standard):
    """Image n of a is (x - m) / s, x: scale times image e // shifts, shifted by version e % shifts.

    e = order[mini_batch, first + n]. Version 0 is the picture as it is; 1, 2, 3 and 4 are shifted
    by one pixel up, down, left and right, with 0 at the emptied edge (chapter 6, "Expanding the
    training data"). a: (1, pixels, n) or, before a dense layer, (n, pixels, 1), overwritten. y:
    (n,), overwritten with the labels. images: (count, channels, rows, columns), uint8 or float.
    labels: (count,). order: (mini-batches, images of each). counters: see `advance`. standard: (2,
    channels), or (2, 1) for all: m and s, 0 and 1 for pixels as they are.
    """
    _, channels, rows, columns = images.shape
    scale = a.dtype.type(scale)
    for n in range(y.size):
        e = order[counters[MINI_BATCH], first + n]
        image, move = e // shifts, e % shifts
        down = 1 if move == 2 else (-1 if move == 1 else 0)
        right = 1 if move == 4 else (-1 if move == 3 else 0)
        y[n] = labels[image]
        for c in range(channels):
            mean, deviation = standard[0, c % standard.shape[1]], standard[1, c % standard.shape[1]]
            for r in range(rows):
                for s in range(columns):
                    pixel = a.dtype.type(0)
                    if 0 <= r - down < rows and 0 <= s - right < columns:
                        pixel = scale * a.dtype.type(images[image, c, r - down, s - right])
                    pixel = (pixel - mean) / deviation
                    p = (c * rows + r) * columns + s
                    if a.shape[2] == 1:
                        a[n, p, 0] = pixel
                    else:
                        a[0, p, n] = pixel


@njit(**FLAGS)
def outside_unit(count, a):
    """count[0] = count[0] + how many numbers of a are not in [0, 1], NaN among them."""
    numbers, found = a.reshape(-1), 0
    for i in range(numbers.size):
        if not (0 <= numbers[i] <= 1):
            found += 1
    count[0] += found


@njit(**PLAIN)
def images_first(out, a):
    """out[n, i] = a[i, n]: from feature maps to neurons. out: (images, neurons), overwritten."""
    images, neurons = out.shape
    for n in range(images):
        for i in range(neurons):
            out[n, i] = a[i, n]


@njit(**PLAIN)
def images_last(out, a):
    """out[i, n] = a[n, i]: the inverse of `images_first`. out: (neurons, images), overwritten."""
    neurons, images = out.shape
    for i in range(neurons):
        for n in range(images):
            out[i, n] = a[n, i]
