"""Ways between layouts: from stored images to a mini-batch, and between feature maps and neurons."""

from numba import njit, prange, uint64

from ..compilation import PARALLEL

LINE = 16  # numbers of float32 in a cache line


@njit(**PARALLEL)
def gather(a, y, images, labels, order, moves, scale):
    """Mini-batch element n of a is image order[n] // moves of `images`, moved by order[n] % moves, times scale.

    Move 0 leaves the picture; 1, 2, 3 and 4 move it by one pixel up, down, left and right and fill the emptied
    edge with 0 (chapter 6, "Expanding the training data"). a: (channels, rows, columns, n) or, before a dense
    layer, (n, pixels), overwritten. y: (n,), overwritten with the labels. images: (count, channels, rows,
    columns), uint8 or float. labels: (count,).
    """
    _, channels, rows, columns = images.shape
    count, width = uint64(order.size), uint64(columns)
    pixels = uint64(channels * rows) * width
    last_axis_is_image = a.ndim == 4
    from_image, from_pixel = (uint64(1), count) if last_axis_is_image else (pixels, uint64(1))
    a_flat, images_flat = a.reshape(-1), images.reshape(-1)
    factor, zero = a.dtype.type(scale), a.dtype.type(0)
    for n in range(count):
        y[n] = labels[order[n] // moves]
    # Each thread has rows of pixels of its own, so that no two write into one cache line.
    for p in prange(channels * rows):
        for n in range(count):
            source, move = uint64(order[n] // moves), order[n] % moves
            down = 1 if move == 2 else (-1 if move == 1 else 0)
            right = 1 if move == 4 else (-1 if move == 3 else 0)
            here = uint64(p) * width * from_pixel + n * from_image
            there = source * pixels + uint64((p - down) * columns)
            first, after = uint64(max(right, 0)), uint64(min(columns, columns + right))
            if move:
                for x in range(width):
                    a_flat[here + x * from_pixel] = zero
            if 0 <= p % rows - down < rows:
                for x in range(first, after):
                    a_flat[here + x * from_pixel] = factor * a.dtype.type(images_flat[there + x - uint64(right)])


@njit(**PARALLEL)
def images_first(out, a):
    """out[n, i] = a[i, n]: from feature maps to a dense layer's rows. out: (images, neurons), overwritten."""
    images, neurons = out.shape
    for p in prange((neurons + LINE - 1) // LINE):
        # A cache line of each image's neurons at a time.
        for n in range(uint64(images)):
            for i in range(uint64(p * LINE), uint64(min((p + 1) * LINE, neurons))):
                out[n, i] = a[i, n]


@njit(**PARALLEL)
def images_last(out, a):
    """out[i, n] = a[n, i]: the way back of `images_first`. out: (neurons, images), overwritten."""
    images, neurons = a.shape
    for p in prange((neurons + LINE - 1) // LINE):
        for i in range(uint64(p * LINE), uint64(min((p + 1) * LINE, neurons))):
            for n in range(uint64(images)):
                out[i, n] = a[n, i]
