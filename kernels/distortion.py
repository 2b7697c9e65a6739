"""Random distortions of pictures: formulas of one image or pixel, written once for all backends.

The pixel (y, x) of a distorted picture is what the picture has at S(y, x) = c + R((y, x) - c) / s -
m + e(y, x): c is the centre, R a rotation, s a scale of each axis, negative for the columns of a
mirrored picture, m a shift, to which a crop adds whole pixels; e, the elastic part, is a cubic
B-spline over a coarse grid of random displacements, smooth as the convolved noise of Simard,
Steinkraus and Platt (2003), and a function of the pixel alone. An image's numbers are drawn as a
dropout mask's are: the same for any number of threads, on every backend, after a resume.

A flip and a crop alone leave every pixel its bits: S(y, x) is then a whole number without rounding,
and between a pixel and the next the interpolation adds 0 times their difference.
"""

import numpy as np
from numba.extending import register_jitable

from .scalar import uniform

DISTORTION_KEY = 1 << 32  # stands for a layer in the keys of random numbers; no network has so many
CELLS = 4  # of the elastic grid, down and across
POINTS = CELLS + 3  # a spline reaches beyond its cell on both sides
AFFINE_NUMBERS = 5  # random numbers: of the rotation, two scales, two shifts
NUMBERS_PER_IMAGE = AFFINE_NUMBERS + 2 * POINTS * POINTS  # of an image
# Where an image's numbers of flip and crop are after its first: behind those of all others.
FLIP, CROP_DOWN, CROP_RIGHT = range(1 << 40, (1 << 40) + 3)
LINE_LENGTH = 4 + 2 * POINTS  # numbers of a row of pixels: see `draw_distortions`


@register_jitable
def between(key, element):
    """A random number in [-1, 1)."""
    return 2.0 * uniform(key, element) - 1.0


@register_jitable
def whole(key, element, most):
    """A random whole number from -most to most."""
    return int(uniform(key, element) * (2.0 * most + 1.0)) - most


@register_jitable
def sine_cosine(theta):
    """(sin theta, cos theta) for |theta| < 2 pi, to 1e-8: the Taylor series of half the angle."""
    half = 0.5 * theta
    sine, cosine, term = 0.0, 0.0, 1.0  # half^k / k!
    for k in range(0, 20, 4):
        cosine += term
        term *= half / (k + 1)
        sine += term
        term *= half / (k + 2)
        cosine -= term
        term *= half / (k + 3)
        sine -= term
        term *= half / (k + 4)
    return 2.0 * sine * cosine, 1.0 - 2.0 * sine * sine


@register_jitable
def line_of(key, first, amounts, y, rows, columns):
    """(sy, down, sx, across): without its elastic part, S(y, x) is (sy + x down, sx + x across).

    first: the image's first random number. amounts: the largest (rotation in radians, scaling as a
    share, shift in pixels, elastic displacement in pixels), the share of mirrored images, and the
    largest crop in pixels.
    """
    rotate, zoom, shift, _, flip, crop = amounts
    theta = rotate * between(key, first)
    scale_y, scale_x = 1.0 + zoom * between(key, first + 1), 1.0 + zoom * between(key, first + 2)
    if uniform(key, first + FLIP) < flip:
        scale_x = -scale_x
    sine, cosine = sine_cosine(theta)
    cy, cx = 0.5 * (rows - 1), 0.5 * (columns - 1)
    down, across = sine / scale_x, cosine / scale_x
    sy = cy + (y - cy) * cosine / scale_y - cx * down - shift * between(key, first + 3)
    sx = cx - (y - cy) * sine / scale_y - cx * across - shift * between(key, first + 4)
    sy -= whole(key, first + CROP_DOWN, crop)
    sx -= whole(key, first + CROP_RIGHT, crop)
    return sy, down, sx, across


@register_jitable
def cell(y, rows):
    """(i, t): row (or column) y lies in cell i of the elastic grid, the share t of it down.

    Points i to i + 3 act on it.
    """
    place = (np.float32(y) + np.float32(0.5)) * (np.float32(CELLS) / np.float32(rows))
    i = min(np.int32(place), np.int32(CELLS - 1))
    return i, place - np.float32(i)


@register_jitable
def spline(t):
    """The weights of the four points around a place t in [0, 1] of a uniform cubic B-spline."""
    one, sixth = np.float32(1), np.float32(1 / 6)
    u, t2 = one - t, t * t
    w0, w3 = u * u * u * sixth, t2 * t * sixth
    w1 = (np.float32(0.5) * t - one) * t2 + np.float32(2 / 3)
    return w0, w1, one - w0 - w1 - w3, w3


@register_jitable
def along(grid, k, y, rows):
    """The elastic displacement along row y at column k of the grid, down at first, then across.

    grid: flat, (2, POINTS, POINTS).
    """
    i, t = cell(y, rows)
    w = spline(t)
    at = (k // POINTS * POINTS + i) * POINTS + k % POINTS
    total = w[0] * grid[at] + w[1] * grid[at + POINTS]
    return total + w[2] * grid[at + 2 * POINTS] + w[3] * grid[at + 3 * POINTS]


@register_jitable
def place(lines, first, x, columns):
    """S(y, x) on the line of row y, which begins at lines[first]."""
    j, t = cell(x, columns)
    w = spline(t)
    y_at = first + np.uint64(4) + np.uint64(j)
    x_at = y_at + np.uint64(POINTS)
    sy = lines[first] + np.float32(x) * lines[first + np.uint64(1)]
    sx = lines[first + np.uint64(2)] + np.float32(x) * lines[first + np.uint64(3)]
    for k in range(4):
        sy += w[k] * lines[y_at + np.uint64(k)]
        sx += w[k] * lines[x_at + np.uint64(k)]
    return sy, sx


@register_jitable
def sampled(framed, at, sy, sx, rows, columns):
    """A picture at the place (sy, sx), bilinear between four pixels, 0 outside.

    It begins at framed[at], in a frame of zeros.
    """
    zero, one = np.float32(0), np.float32(1)
    y = min(max(sy + one, zero), np.float32(rows + 1))
    x = min(max(sx + one, zero), np.float32(columns + 1))
    i, j = min(np.int32(y), np.int32(rows)), min(np.int32(x), np.int32(columns))
    ty, tx = y - np.float32(i), x - np.float32(j)
    width = np.uint64(columns + 2)
    corner = at + np.uint64(i) * width + np.uint64(j)
    above = framed[corner] + tx * (framed[corner + np.uint64(1)] - framed[corner])
    corner += width
    below = framed[corner] + tx * (framed[corner + np.uint64(1)] - framed[corner])
    return above + ty * (below - above)
