"""Convolution, equation (125): a weight w[f, c, i, j] is shared by all positions of feature map f.

Layout: (channels, rows, columns, images). A convolution reads its input as `conv2d_pad` leaves it:
with zeros around the picture, and with its columns sorted by their remainder modulo the column
stride s_x. Column X of the padded picture is a[c, Y, X % s_x, X // s_x, n], so the column
X = x s_x + j, which output column x meets at kernel column j, is a[c, Y, j % s_x, x + j // s_x, n].
With s_x = 1 that is a[c, Y, 0, x + j, n].
"""

from ..compilation import PLAIN, njit


@njit(**PLAIN)
def conv2d_pad(padded, a, padding_y, padding_x):
    """padded[c, y + padding_y, X % s_x, X // s_x, n] = a[c, y, x, n] with X = x + padding_x.

    padded: (channels, rows + 2 padding_y or more, s_x, columns, images), overwritten but for its
    border, which is to hold zeros. a: (channels, rows, columns, images).
    """
    channels, rows, columns, images = a.shape
    stride_x = padded.shape[2]
    for c in range(channels):
        for y in range(rows):
            for x in range(columns):
                X = x + padding_x
                for n in range(images):
                    padded[c, y + padding_y, X % stride_x, X // stride_x, n] = a[c, y, x, n]


@njit(**PLAIN)
def conv2d_unpad(da, padded, padding_y, padding_x):
    """da[c, y, x, n] = padded[c, y + padding_y, X % s_x, X // s_x, n] with X = x + padding_x.

    The inverse of `conv2d_pad`. da: (channels, rows, columns, images), overwritten.
    """
    channels, rows, columns, images = da.shape
    stride_x = padded.shape[2]
    for c in range(channels):
        for y in range(rows):
            for x in range(columns):
                X = x + padding_x
                for n in range(images):
                    da[c, y, x, n] = padded[c, y + padding_y, X % stride_x, X // stride_x, n]


@njit(**PLAIN)
def conv2d_forward(z, a, w, b, taps, row_step):
    """z[f, y, x, n] = b[f] + sum_(c, i, j) w[f, c, i, j] a[c, y s_y + i, x s_x + j, n], (125).

    z: (filters, rows, columns, images), overwritten. a: see the module. w: (filters, channels,
    kernel rows, kernel columns). b: (filters,). row_step: s_y rows of a, in numbers of one image.
    taps: for the fast backends.
    """
    filters, rows, columns, images = z.shape
    _, channels, kernel_rows, kernel_columns = w.shape
    stride_x, stride_y = a.shape[2], row_step // (a.shape[2] * a.shape[3])
    for f in range(filters):
        z[f] = b[f]
        for c in range(channels):
            for i in range(kernel_rows):
                for j in range(kernel_columns):
                    for y in range(rows):
                        for x in range(columns):
                            row, phase, column = y * stride_y + i, j % stride_x, x + j // stride_x
                            for n in range(images):
                                z[f, y, x, n] += w[f, c, i, j] * a[c, row, phase, column, n]


@njit(**PLAIN)
def conv2d_backward_weights(dw, dz, a, taps, row_step):
    """dC/dw[f, c, i, j] = sum_(y, x, n) dz[f, y, x, n] a[c, y s_y + i, x s_x + j, n].

    dw: like w, overwritten. dz: like z. a, taps, row_step: as in `conv2d_forward`.
    """
    filters, rows, columns, images = dz.shape
    _, channels, kernel_rows, kernel_columns = dw.shape
    stride_x, stride_y = a.shape[2], row_step // (a.shape[2] * a.shape[3])
    for f in range(filters):
        for c in range(channels):
            for i in range(kernel_rows):
                for j in range(kernel_columns):
                    total = dw.dtype.type(0)
                    for y in range(rows):
                        for x in range(columns):
                            row, phase, column = y * stride_y + i, j % stride_x, x + j // stride_x
                            for n in range(images):
                                total += dz[f, y, x, n] * a[c, row, phase, column, n]
                    dw[f, c, i, j] = total


@njit(**PLAIN)
def conv2d_backward_biases(db, dz):
    """dC/db[f] = sum_(y, x, n) dz[f, y, x, n]. db: (filters,), overwritten. dz: like z."""
    filters, rows, columns, images = dz.shape
    db[:] = 0
    for f in range(filters):
        for y in range(rows):
            for x in range(columns):
                for n in range(images):
                    db[f] += dz[f, y, x, n]


@njit(**PLAIN)
def conv2d_backward_input(da, dz, w, taps, stride_y):
    """dC/da[c, Y, X, n] = sum of w[f, c, i, j] dz[f, y, x, n] where y s_y + i = Y, x s_x + j = X.

    da: laid out as a, padding included, overwritten. dz: like z. w, taps: as in `conv2d_forward`.
    """
    filters, rows, columns, images = dz.shape
    _, channels, kernel_rows, kernel_columns = w.shape
    stride_x = da.shape[2]
    da[:] = 0
    for f in range(filters):
        for c in range(channels):
            for i in range(kernel_rows):
                for j in range(kernel_columns):
                    for y in range(rows):
                        for x in range(columns):
                            row, phase, column = y * stride_y + i, j % stride_x, x + j // stride_x
                            for n in range(images):
                                da[c, row, phase, column, n] += w[f, c, i, j] * dz[f, y, x, n]
