"""Convolution, max pooling and activation in one: the book's convolutional-pooling layer."""

import numpy as np

from ..compilation import PLAIN, njit
from .activation import activation_forward
from .conv import conv2d_forward
from .pool import max_pool2d_forward


@njit(**PLAIN)
def conv2d_max_pool_forward(a, argmax, x, w, b, taps, row_step, columns, window, activation):
    """a = sigma(max over the window of z), z the convolution of x, (125); sigma of `activation`.

    a, argmax: (filters, pooled rows, pooled columns, images), overwritten as by
    `max_pool2d_forward`. x, w, b, taps, row_step: as in `conv2d_forward`. columns: of z. window:
    (rows, columns, row stride, column stride). activation: see `activated`.
    """
    filters, pooled_rows, _, images = a.shape
    size_y, size_x, stride_y, stride_x = window
    rows = (pooled_rows - 1) * stride_y + size_y
    z = np.empty((filters, rows, columns, images), a.dtype)
    conv2d_forward(z, x, w, b, taps, row_step)
    max_pool2d_forward(a, argmax, z, size_y, size_x, stride_y, stride_x)
    activation_forward(a.reshape(-1), activation)
