"""What every backend offers: the kernels and the memory, each said once.

A backend is a module that has all of it. `reference` has the plain loops, `cpu` and `cuda` the fast
ones, under the same names with the same arguments. Outputs come first, then inputs, then geometry.
Arrays are C-contiguous and of the network's dtype, float32 or float64, where nothing else is said.
Nothing is checked here: shapes are checked when a layer is built.

Shapes: feature maps are (channels, rows, columns, images), neurons (images, neurons), a
convolution's weights (filters, channels, kernel rows, kernel columns), a dense layer's (neurons
out, neurons in). Indices: f filter, c channel, i and j row and column of a kernel or window, y and
x row and column of an output, n image; s is the stride. Equation numbers are those of Michael
Nielsen, "Neural Networks and Deep Learning"; docs/equations.md derives each kernel.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]
Window = tuple[int, int, int, int]  # rows, columns, row stride, column stride
Activation = tuple[int, float]  # number and parameter: see kernels/activations.py
Call = tuple[Callable[..., None], tuple[Any, ...]]  # a kernel and its arguments


class Kernels(Protocol):
    """The kernels.

    Each returns nothing and says of every output whether it is overwritten or added to.
    """

    # Convolution

    def conv2d_pad(self, padded: Array, a: Array, padding_y: int, padding_x: int, /) -> None:
        """padded[c, y + padding_y, p, q, n] = a[c, y, x, n] with x + padding_x = q phases + p.

        The layout that a convolution reads: zeros around the picture, and columns apart by their
        remainder modulo the column stride (the phase), so that a tap meets neighbouring numbers.
        padded: (channels, rows + 2 padding_y, phases, padded columns / phases rounded up, images),
        overwritten inside the border, which must be zero before. a: (channels, rows, columns,
        images).
        """

    def conv2d_unpad(self, da: Array, padded: Array, padding_y: int, padding_x: int, /) -> None:
        """da[c, y, x, n] = padded[c, y + padding_y, p, q, n] with x + padding_x = q phases + p.

        The inverse of `conv2d_pad`. da: overwritten.
        """

    def conv2d_forward(
        self, z: Array, a: Array, w: Array, b: Array, taps: Array, row_step: int, /
    ) -> None:
        """z[f, y, x, n] = b[f] + sum_(c, i, j) w[f, c, i, j] a[c, y s + i, x s + j, n], from (125).

        z: (filters, rows, columns, images), overwritten. a: the input, laid out by `conv2d_pad`, or
        as it is, (channels, rows, columns, images), without padding and with column stride 1.
        b: (filters,). taps: (channels kernel rows kernel columns,), uint64, the offset of each tap
        (c, i, j) in one padded image. row_step: the offset between the inputs of two output rows.
        """

    def conv2d_backward_weights(
        self, dw: Array, dz: Array, a: Array, taps: Array, row_step: int, /
    ) -> None:
        """dC/dw[f, c, i, j] = sum_(y, x, n) dz[f, y, x, n] a[c, y s + i, x s + j, n], from (BP4).

        dw: overwritten. a, taps, row_step: as in `conv2d_forward`.
        """

    def conv2d_backward_biases(self, db: Array, dz: Array, /) -> None:
        """dC/db[f] = sum_(y, x, n) dz[f, y, x, n], from (BP3). db: (filters,), overwritten."""

    def conv2d_backward_input(
        self, da: Array, dz: Array, w: Array, taps: Array, stride_y: int, /
    ) -> None:
        """dC/da[c, r, q, n] = sum of w[f, c, i, j] dz[f, y, x, n] over y s + i = r, x s + j = q.

        From (BP2). da: laid out as `a` of `conv2d_forward`, padding included, overwritten.
        """

    def conv2d_max_pool_forward(
        self, a: Array, argmax: Array, x: Array, w: Array, b: Array, taps: Array, row_step: int,
        columns: int, window: Window, activation: Activation, /,
    ) -> None:  # fmt: skip
        """a = sigma(max over the window of z), z the convolution of x, equation (125).

        `conv2d_forward`, `max_pool2d_forward` and `activation_forward` in one, without z in memory.
        Every sigma here is monotone, so that max and sigma commute. a: (filters, pooled rows,
        pooled columns, images), and argmax, likewise: overwritten. columns: of z.
        """

    def conv2d_max_pool_backward(
        self, dw: Array, dx: Array, da: Array, argmax: Array, x: Array, w: Array,
        buffers: tuple[Array, Array, Array, Array], tables: Any, padding: Pair, needs_dx: bool, /,
    ) -> None:  # fmt: skip
        """dC/dw and dC/dx of a convolution behind which is a max pooling.

        dz is da at the maxima, else 0:
        dC/dw[f, c, i, j] = sum over (Y, X, n) of da[f, Y, X, n] x[c, y s + i - p, x s + j - p, n]
        dC/dx[c, r, q, n] = sum over (f, Y, X) of da[f, Y, X, n] w[f, c, r + p - y s, q + p - x s]
        with (y, x) the place of the maximum of window (Y, X), and p the padding.

        dw: overwritten. dx: like x, overwritten if needs_dx. da, argmax: (filters, pooled rows,
        pooled columns, images). x: the convolution's input, not padded, (channels, rows, columns,
        images). tables: `ConvPoolTables` of nbconv/layers/geometry.py. buffers: room for
        intermediate results, overwritten: x and dx with their padding and channels last, (images,
        padded rows, padded columns, channels), the border of the first zero; w as (kernel rows,
        filters, line), w[f, c, i, j] at j channels + c; dw of groups of images, (groups, filters,
        kernel rows, line).
        """

    # Pooling

    def max_pool2d_forward(
        self,
        a: Array,
        argmax: Array,
        x: Array,
        size_y: int,
        size_x: int,
        stride_y: int,
        stride_x: int,
        /,
    ) -> None:
        """a[c, y, q, n] = max over the window of x[c, ., ., n] (chapter 6).

        Of equal values the first; NaN wins. a: (channels, rows, columns, images), overwritten.
        argmax: likewise, int32: the maximum's place i size_x + j in its window. x: (channels, input
        rows, input columns, images).
        """

    def max_pool2d_backward(
        self,
        dx: Array,
        da: Array,
        argmax: Array,
        size_y: int,
        size_x: int,
        stride_y: int,
        stride_x: int,
        /,
    ) -> None:
        """dC/dx[c, r, s, n] = sum of da[c, y, q, n] over windows (y, q) whose maximum is at (r, s).

        dx: overwritten.
        """

    def l2_pool2d_forward(
        self, a: Array, x: Array, size_y: int, size_x: int, stride_y: int, stride_x: int, /
    ) -> None:
        """a[c, y, q, n] = sqrt(sum of x[c, r, s, n]^2 over the window) (chapter 6).

        a: overwritten.
        """

    def l2_pool2d_backward(
        self, dx: Array, da: Array, a: Array, x: Array, size_y: int, size_x: int,
        stride_y: int, stride_x: int, /,
    ) -> None:  # fmt: skip
        """dC/dx[c, r, s, n] = sum over (y, q) of da[c, y, q, n] x[c, r, s, n] / a[c, y, q, n].

        (y, q) are the windows of (r, s). Where a window is all zero, the root has no derivative and
        its share is 0. dx: overwritten.
        """

    def avg_pool2d_forward(
        self, a: Array, x: Array, size_y: int, size_x: int, stride_y: int, stride_x: int, /
    ) -> None:
        """a[c, y, q, n] = mean of x[c, r, s, n] over the window. a: overwritten."""

    def avg_pool2d_backward(
        self, dx: Array, da: Array, size_y: int, size_x: int, stride_y: int, stride_x: int, /
    ) -> None:
        """dC/dx[c, r, s, n] = sum over its windows (y, q) of da[c, y, q, n] / (size_y size_x).

        dx: overwritten.
        """

    # Batch normalisation (Ioffe, Szegedy 2015). x[o, c, i]: number (o, i) of channel c; (outer,
    # channels, inner) is (1, channels, rows columns images) of feature maps, (images, neurons, 1)
    # of neurons. m: numbers of a channel. statistics: (2, channels), mean and variance of each.

    def batch_norm_statistics(self, statistics: Array, x: Array, /) -> None:
        """mean[c] = sum_(o, i) x / m, variance[c] = sum_(o, i) (x - mean[c])^2 / m.

        statistics: overwritten.
        """

    def batch_norm_forward(
        self, a: Array, x: Array, w: Array, b: Array, statistics: Array, epsilon: float, /
    ) -> None:
        """a[o, c, i] = w[c] y[o, c, i] + b[c], y = (x - mean[c]) / sqrt(variance[c] + epsilon).

        a: like x, overwritten. w, b: (channels,), the paper's gamma and beta.
        """

    def batch_norm_backward(
        self, dx: Array, dw: Array, db: Array, da: Array, x: Array, w: Array, statistics: Array,
        epsilon: float, has_batch_statistics: bool, /,
    ) -> None:  # fmt: skip
        """dC/dw[c] = sum_(o, i) da y; dC/db[c] = sum_(o, i) da, with y of `batch_norm_forward`.

        dC/dx = w[c] (da - (dC/db[c] + y dC/dw[c]) / m) / sqrt(variance[c] + epsilon) if the
        statistics are those of x; without the terms in brackets if they are constants. dx: like x,
        overwritten; may be da. dw, db: overwritten.
        """

    def batch_norm_fold(
        self, w_folded: Array, b_folded: Array, w: Array, b: Array, gamma: Array, beta: Array,
        statistics: Array, epsilon: float, /,
    ) -> None:  # fmt: skip
        """w_folded[c, k] = r w[c, k], b_folded[c] = r (b[c] - mean[c]) + beta[c].

        r = gamma[c] / sqrt(variance[c] + epsilon). w: (channels, inputs) of the layer before. b,
        gamma, beta: (channels,). w_folded, b_folded: overwritten.
        """

    def batch_norm_track(
        self, running: Array, statistics: Array, momentum: float, m: int, /
    ) -> None:
        """running = (1 - momentum) running + momentum statistics.

        Of variances m / (m - 1) times the statistics. running: (2, channels), updated.
        """

    # Dense layers

    def dense_forward(
        self, a: Array, x: Array, w: Array, b: Array, activation: Activation, /
    ) -> None:
        """a[n, j] = sigma(b[j] + sum_k w[j, k] x[n, k]), equation (25).

        a: (images, neurons out), overwritten.
        """

    def dense_backward_weights(self, dw: Array, dz: Array, a: Array, /) -> None:
        """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4). dw: overwritten."""

    def dense_backward_biases(self, db: Array, dz: Array, /) -> None:
        """dC/db[j] = sum_n dz[n, j], equation (BP3). db: (neurons out,), overwritten."""

    def dense_backward_input(self, da: Array, dz: Array, w: Array, /) -> None:
        """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z).

        da: overwritten.
        """

    def dense_descend(self, w: Array, b: Array, dz: Array, a: Array, rates: Array, /) -> None:
        """w = (1 - eta decay) w - eta sum_n dz[n, j] a[n, k]; b = b - eta sum_n dz[n, j].

        `dense_backward_weights`, `dense_backward_biases` and `sgd` without momentum and L1 in one,
        without a gradient in memory. w, b: updated. dz: room for intermediate results, undefined
        afterwards. rates: as in `sgd`.
        """

    # Activations and dropout

    def activation_forward(self, a: Array, activation: Activation, /) -> None:
        """a = sigma(a), sigma as kernels/activations.py numbers it.

        a: flat, holds z, overwritten.
        """

    def activation_backward(self, dz: Array, a: Array, activation: Activation, /) -> None:
        """dz = da sigma'(z), the factor in (BP1) and (BP2), sigma'(z) from a = sigma(z).

        dz: flat, holds da, overwritten. a: flat.
        """

    def dropout(
        self, out: Array, a: Array, rate: float, scale: float, randomness: Array, layer: int, /
    ) -> None:
        """out[i] = scale a[i] with probability 1 - rate, else 0 (chapter 3, "Dropout").

        The mask is a function of (seed, step, layer, i), so the same call on da is the backward
        pass. out: flat, overwritten; may be a. randomness: (seed, step, ...), int64.
        """

    # Costs. sums: (2,), float64: cost and number of right answers, added to. labels: (images,),
    # int64. w is weights[label], weights: (classes,), float64. The target is t = (1 - smoothing) y
    # + smoothing / classes, y the unit vector of the label. The prediction is the largest z.

    def softmax(self, a: Array, z: Array, /) -> None:
        """a[n, j] = e^(z[n, j]) / sum_k e^(z[n, k]), equation (78). a: overwritten; may be z."""

    def log_likelihood(
        self, delta: Array, sums: Array, z: Array, labels: Array, weights: Array,
        smoothing: float, scale: float, /,
    ) -> None:  # fmt: skip
        """C = -w sum_j t_j ln a_j, a = softmax(z), equation (80); delta = scale w (a - t), (81).

        delta: overwritten.
        """

    def cross_entropy(
        self, delta: Array, sums: Array, z: Array, labels: Array, weights: Array,
        smoothing: float, scale: float, /,
    ) -> None:  # fmt: skip
        """C = -w sum_j [t_j ln a_j + (1 - t_j) ln(1 - a_j)], a = sigmoid(z), equation (63).

        delta = scale w (a - t), equation (66): overwritten.
        """

    def quadratic(
        self, delta: Array, sums: Array, z: Array, labels: Array, weights: Array,
        smoothing: float, scale: float, activation: Activation, /,
    ) -> None:  # fmt: skip
        """C = w sum_j (a_j - t_j)^2 / 2, a = sigma(z), equation (6).

        delta = scale w (a - t) sigma'(z), equation (30).
        delta: overwritten.
        """

    # From stored images to a mini-batch, and from feature maps to neurons

    def gather(
        self, a: Array, y: Array, images: Array, labels: Array, order: Array, counters: Array,
        first: int, shifts: int, scale: float, standard: Array, /,
    ) -> None:  # fmt: skip
        """Image n of a is (x - standard[0, c]) / standard[1, c], c being a pixel's channel.

        x: scale times image e // shifts of `images`, in its version e % shifts.

        e = order[mini-batch, first + n]. Version 0 is the picture as it is; 1, 2, 3 and 4 are
        shifted by one pixel up, down, left and right, with 0 at the emptied edge (chapter 6,
        "Expanding the training data"). a: (1, pixels, n) or, before a dense layer, (n, pixels, 1),
        pixels being channels x rows x columns, overwritten. y: (n,), overwritten with the labels.
        images: (count, channels, rows, columns), uint8 or float. order: (mini-batches, images of
        each). counters: see `advance`. standard: (2, channels), or (2, 1) for all of them, of a's
        dtype: mean and standard deviation, 0 and 1 for pixels as they are.
        """

    def draw_distortions(
        self, lines: Array, points: Array, amounts: tuple[float, float, float, float, float, float],
        columns: int, counters: Array, first: int, /,
    ) -> None:  # fmt: skip
        """Draw the random distortions of images first, first + 1, ... of the mini-batch.

        See kernels/distortion.py. lines: (images, rows, LINE_LENGTH), float32, overwritten: of each
        row of pixels where it is read from: position of the first pixel, step between pixels,
        elastic displacements. points: (images, 2, POINTS, POINTS), float32, overwritten: the
        displacements of the elastic grid. amounts: the largest rotation (radians), scaling (share),
        shift and elastic displacement (pixels), the share of mirrored images, the largest crop
        (pixels, a whole number). columns: of the pictures.
        """

    def gather_distorted(
        self, a: Array, y: Array, images: Array, labels: Array, order: Array, counters: Array,
        first: int, lines: Array, framed: Array, scale: float, standard: Array, /,
    ) -> None:  # fmt: skip
        """Image n of a is (x - standard[0, c]) / standard[1, c], c being a pixel's channel.

        x: scale times image order[mini-batch, first + n], distorted as `lines` say. a, y:
        overwritten; images, labels, order, counters, standard: as in `gather`. framed: (n,
        channels, rows + 2, columns + 2), float32, room for intermediate results whose border must
        be zero.
        """

    def outside_unit(self, count: Array, a: Array, /) -> None:
        """count[0] = count[0] + how many numbers of a are not in [0, 1], NaN among them.

        count: (1,), int64.
        """

    def images_first(self, out: Array, a: Array, /) -> None:
        """out[n, i] = a[i, n]: from feature maps to a dense layer's input. out: overwritten."""

    def images_last(self, out: Array, a: Array, /) -> None:
        """out[i, n] = a[n, i]: the inverse of `images_first`. out: overwritten."""

    # The update. rates: (eta, decay, decay_l1, momentum or beta1, nesterov, beta2, bias1, bias2,
    # decoupled, limit), float64, indices in kernels/scalar.py. decay is lmbda / n, decay_l1
    # likewise for L1; nesterov and decoupled are 0 or 1.

    def sgd(
        self, w: Array, b: Array, v_w: Array, v_b: Array, dw: Array, db: Array, rates: Array, /
    ) -> None:
        """v = momentum v - eta g, w = w + v, equations (107) and (108).

        g = dC/dw + decay w + decay_l1 sgn(w). With nesterov, w = w + momentum v - eta g (Sutskever
        et al. 2013). Biases likewise, but g = dC/db. All flat; w, b and, unless momentum is 0, v_w
        and v_b: updated.
        """

    def adam(
        self, w: Array, b: Array, m_w: Array, m_b: Array, s_w: Array, s_b: Array, dw: Array,
        db: Array, rates: Array, /,
    ) -> None:  # fmt: skip
        """w = w - eta m' / (sqrt(s') + eps), m and s the moving means of g and g^2.

        m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) g^2, m' = m / bias1, s' = s / bias2,
        with bias1 = 1 - beta1^t and bias2 = 1 - beta2^t in step t, eps = 1e-8 (Kingma, Ba 2015). g
        = dC/dw + decay w + decay_l1 sgn(w); decoupled, g has no decay w, and w = w - eta decay w
        first (Loshchilov, Hutter 2019). Biases likewise, but g = dC/db. All flat; w, b, m and s:
        updated.
        """

    def clip(self, g: Array, sums: Array, rates: Array, /) -> None:
        """g = g min(1, limit / |g|), |g| the norm of all gradients together (Pascanu et al. 2013).

        g: flat, updated. sums: (parts,), float64, room for intermediate results.
        """

    def add(self, total: Array, part: Array, /) -> None:
        """total = total + part: the gradients of micro-batches. Both flat; total: updated."""

    def advance(
        self, counters: Array, rates: Array, sums: Array, rows: Array, bound: float, /
    ) -> None:
        """On to the next mini-batch, with its rates.

        counters: (seed, step, mini_batch, finite), int64, updated: seed and step key the random
        numbers, mini_batch is the index of the mini-batch in this run, finite the number of
        mini-batches up to the first that did not leave sums[0] below `bound`. rates: overwritten.
        rows: the rates of each mini-batch of the run, and a row more.
        """


class Memory(Protocol):
    """Where a backend keeps arrays, and how the host reads and writes them."""

    INFERENCE_BATCH: int  # images at a time where nothing is trained
    # Whether a Program compiles its kernels, so that a second process can do so ahead.
    PRECOMPILES: bool
    HAS_THREADS: bool  # whether CPU threads share a kernel's work
    ON_HOST: bool  # whether arrays lie in the host's memory, for whoever has their address

    def zeros(self, shape: tuple[int, ...], dtype: Any, /) -> Array:
        """A new array of the backend, filled with zeros."""

    def read(self, array: Array, /) -> Array:
        """The array's contents for the host. May be no copy: valid until the next kernel call."""

    def write(self, array: Array, values: Any, /) -> None:
        """Set an array of the backend to a number, or to an array of the host or the backend."""

    def wait(self) -> None:
        """Back when the kernels that were called are done: others may then read the arrays."""

    def resident(self, array: Array, /) -> Array | None:
        """An array of the host where kernels can read it; None if it is too large.

        It can be read for as long as the host's array lives.
        """

    def upload(self, array: Array, /) -> Array:
        """Make an array of the host readable by kernels; valid until this thread's next upload."""

    def images_per_upload(self, image_bytes: int, /) -> int:
        """How many images of that size are uploaded at a time if the data set is not resident."""

    def micro_batches(self, count: int, /) -> int:
        """Into how many micro-batches `count` images are cut for the layers of feature maps."""


class Program(Protocol):
    """Recorded kernel calls, ready to be run many times."""

    def __call__(self, times: int, *varying: Array, threads: int = 0) -> None:
        """Make all calls in order, `times` times.

        The arrays take the place of those named when it was built. threads: how many CPU threads
        the kernels use, where HAS_THREADS; 0 for Numba's own number.
        """


class Backend(Kernels, Memory, Protocol):
    """A backend: one of the modules `reference`, `cpu` and `cuda` of this package."""

    LINE_LENGTH: int  # numbers of a line of `draw_distortions`
    POINTS: int  # points of its elastic grid, down and across

    def Program(self, calls: Sequence[Any], varying: Sequence[Array] = (), /) -> Program:
        """A program of calls (kernel, arguments); a list of lists of calls may run concurrently.

        varying: arrays among the arguments for which each run is given others, of the same dtype
        and number of axes.
        """


KERNELS = tuple(
    name for name, value in vars(Kernels).items() if callable(value) and not name.startswith("_")
)
