"""The backward pass of a convolution with max pooling behind it, without the deltas that are 0.

Max pooling passes the gradient of each window to its maximum. Elsewhere dz is 0 and adds nothing
to a sum.
"""

from ..compilation import PLAIN, njit


@njit(**PLAIN)
def conv2d_max_pool_backward(dw, dx, da, argmax, x, w, buffers, tables, padding, needs_dx):
    """`conv2d_backward_weights` and `conv2d_backward_input` of dz: da at the maxima, else 0.

    dC/dw[f, c, i, j] = sum_(Y, X, n) da[f, Y, X, n] x[c, r, s, n]
    dC/dx[c, r, s, n] = sum_(f, Y, X, i, j) da[f, Y, X, n] w[f, c, i, j]

    with r = y s_y + i - p_y, s = q s_x + j - p_x and (y, q) the maximum of window (Y, X); terms
    with (r, s) outside the picture are left out. dw, w: (filters, channels, kernel rows, kernel
    columns); dw overwritten. da, argmax: (filters, pooled rows, pooled columns, images), as in
    `max_pool2d_forward`. x: (channels, rows, columns, images), not padded. dx: like x, overwritten
    if needs_dx. padding: (p_y, p_x). tables: see nbconv/layers/geometry.py, `ConvPoolTables`; only
    its sizes are read here. buffers: for the fast backends.
    """
    _, size_x, pool_y, pool_x, stride_y, stride_x = tables[4:10]
    filters, pooled_rows, pooled_columns, images = da.shape
    _, channels, kernel_rows, kernel_columns = w.shape
    dw[:] = 0
    if needs_dx:
        dx[:] = 0
    for f in range(filters):
        for Y in range(pooled_rows):
            for X in range(pooled_columns):
                for n in range(images):
                    y = Y * pool_y + argmax[f, Y, X, n] // size_x
                    q = X * pool_x + argmax[f, Y, X, n] % size_x
                    for c in range(channels):
                        for i in range(kernel_rows):
                            for j in range(kernel_columns):
                                r = y * stride_y + i - padding[0]
                                s = q * stride_x + j - padding[1]
                                if 0 <= r < x.shape[1] and 0 <= s < x.shape[2]:
                                    dw[f, c, i, j] += da[f, Y, X, n] * x[c, r, s, n]
                                    if needs_dx:
                                        dx[c, r, s, n] += da[f, Y, X, n] * w[f, c, i, j]
