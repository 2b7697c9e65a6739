"""The oracle: every kernel's equation as plain loops over NumPy arrays in float64.

Slow, obvious, shared by all tests.
Arrays here are images first: (images, channels, rows, columns), (images, neurons). `last` and
`first` change sides.
"""

import math

import numpy as np


def last(a):
    """From (images, channels, rows, columns) to (channels, rows, columns, images)."""
    return np.ascontiguousarray(np.moveaxis(a, 0, -1))


def first(a):
    """From (channels, rows, columns, images) to (images, channels, rows, columns)."""
    return np.moveaxis(a, -1, 0)


def pad(a, padding):
    return np.pad(np.asarray(a, np.float64), ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))


def conv2d_forward(a, w, b, stride=(1, 1), padding=(0, 0)):
    a = pad(a, padding)
    images, _, rows, columns = a.shape
    filters, _, kernel_rows, kernel_columns = w.shape
    out_rows = (rows - kernel_rows) // stride[0] + 1
    out_columns = (columns - kernel_columns) // stride[1] + 1
    z = np.zeros((images, filters, out_rows, out_columns))
    for n, f, y, x in np.ndindex(*z.shape):
        y0, x0 = y * stride[0], x * stride[1]
        field = a[n, :, y0 : y0 + kernel_rows, x0 : x0 + kernel_columns]
        z[n, f, y, x] = b[f] + np.sum(np.float64(w[f]) * field)
    return z


def conv2d_backward(dz, a, w, stride=(1, 1), padding=(0, 0)):
    """(dw, db, da) of C for dC/dz."""
    padded = pad(a, padding)
    dw, da = np.zeros(w.shape), np.zeros(padded.shape)
    db = np.zeros(len(w))
    kernel_rows, kernel_columns = w.shape[2:]
    for n, f, y, x in np.ndindex(*dz.shape):
        field = (n, slice(None), slice(y * stride[0], y * stride[0] + kernel_rows),
                 slice(x * stride[1], x * stride[1] + kernel_columns))  # fmt: skip
        delta = float(dz[n, f, y, x])
        dw[f] += delta * padded[field]
        da[field] += delta * np.float64(w[f])
        db[f] += delta
    rows, columns = a.shape[2:]
    return dw, db, da[:, :, padding[0] : padding[0] + rows, padding[1] : padding[1] + columns]


def windows(x, size, stride):
    """(place of the output, slice of its window) for each output of a pooling."""
    images, channels, rows, columns = x.shape
    out_rows, out_columns = (rows - size[0]) // stride[0] + 1, (columns - size[1]) // stride[1] + 1
    for n, c, y, q in np.ndindex(images, channels, out_rows, out_columns):
        y0, x0 = y * stride[0], q * stride[1]
        yield (n, c, y, q), (n, c, slice(y0, y0 + size[0]), slice(x0, x0 + size[1]))


def pool_shape(x, size, stride):
    return (
        *x.shape[:2],
        (x.shape[2] - size[0]) // stride[0] + 1,
        (x.shape[3] - size[1]) // stride[1] + 1,
    )


def pool2d_forward(kind, x, size, stride):
    x = np.asarray(x, np.float64)
    value = {"max": np.max, "avg": np.mean, "l2": lambda window: math.sqrt(np.sum(window**2))}[kind]
    a = np.zeros(pool_shape(x, size, stride))
    for place, window in windows(x, size, stride):
        a[place] = value(x[window])
    return a


def pool2d_backward(kind, da, x, size, stride):
    x = np.asarray(x, np.float64)
    dx = np.zeros(x.shape)
    for place, window in windows(x, size, stride):
        delta, part = float(da[place]), x[window]
        if kind == "max":
            argmax = np.unravel_index(np.argmax(part), part.shape)  # of equal ones the first
            dx[window][argmax] += delta
        elif kind == "avg":
            dx[window] += delta / part.size
        else:
            norm = math.sqrt(np.sum(part**2))
            dx[window] += delta * part / norm if norm else 0.0
    return dx


def batch_norm_statistics(x):
    """(means, variances) of the channels of x: (images, channels, ...)."""
    channels = [np.float64(x[:, c]).ravel() for c in range(x.shape[1])]
    means = [math.fsum(channel) / channel.size for channel in channels]
    squares = [(channel - mean) ** 2 for channel, mean in zip(channels, means, strict=True)]
    return np.array(means), np.array([math.fsum(each) / each.size for each in squares])


def batch_norm_forward(x, w, b, statistics, epsilon):
    a = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        mean, variance = (float(each[place[1]]) for each in statistics)
        y = (float(x[place]) - mean) / math.sqrt(variance + epsilon)
        a[place] = float(w[place[1]]) * y + float(b[place[1]])
    return a


def batch_norm_backward(da, x, w, statistics, epsilon, has_batch_statistics):
    """(dx, dw, db): by the chain rule through y, the variance and the mean, as in the paper."""
    dx, dw, db = np.zeros(x.shape), np.zeros(len(w)), np.zeros(len(w))
    for c in range(len(w)):
        delta, centred = np.float64(da[:, c]), np.float64(x[:, c]) - float(statistics[0][c])
        root, m = math.sqrt(float(statistics[1][c]) + epsilon), delta.size
        dw[c], db[c] = np.sum(delta * centred) / root, np.sum(delta)
        dy = float(w[c]) * delta
        dx[:, c] = dy / root
        if has_batch_statistics:
            dvariance = np.sum(dy * centred) * -0.5 / root**3
            dmean = -np.sum(dy) / root + dvariance * np.sum(-2 * centred) / m
            dx[:, c] += dvariance * 2 * centred / m + dmean / m
    return dx, dw, db


def batch_norm_fold(w, b, gamma, beta, statistics, epsilon):
    w, b, gamma, beta, (mean, variance) = map(np.float64, (w, b, gamma, beta, statistics))
    r = gamma / np.sqrt(variance + epsilon)
    return r[:, None] * w, r * (b - mean) + beta


def batch_norm_track(running, statistics, momentum, m):
    factors = np.array([[1.0], [m / (m - 1)]])
    return (1 - momentum) * np.float64(running) + momentum * factors * np.float64(statistics)


def dense_forward(a, w, b):
    z = np.zeros((len(a), len(w)))
    for n, j in np.ndindex(*z.shape):
        z[n, j] = float(b[j]) + sum(float(w[j, k]) * float(a[n, k]) for k in range(a.shape[1]))
    return z


def dense_backward(dz, a, w):
    """(dw, db, da) of C for dC/dz."""
    dw, db, da = np.zeros(w.shape), np.zeros(len(w)), np.zeros(a.shape)
    for n, j in np.ndindex(*dz.shape):
        delta = float(dz[n, j])
        dw[j] += delta * a[n]
        db[j] += delta
        da[n] += delta * np.float64(w[j])
    return dw, db, da


def sigmoid(z):
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


ACTIVATIONS = {
    "sigmoid": sigmoid,
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "linear": lambda z: z,
    "leaky_relu:0.25": lambda z: z if z > 0 else 0.25 * z,
}
# At minus and plus infinity.
LIMITS = {
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, math.inf),
    "linear": (-math.inf, math.inf),
    "leaky_relu:0.25": (-math.inf, math.inf),
}
DERIVATIVES = {  # by z
    "sigmoid": lambda z: sigmoid(z) * sigmoid(-z),
    "tanh": lambda z: 1 - math.tanh(z) ** 2,
    "relu": lambda z: 1.0 if z > 0 else 0.0,
    "linear": lambda z: 1.0,
    "leaky_relu:0.25": lambda z: 1.0 if z > 0 else 0.25,
}


def unit(label, classes):
    return [1.0 if j == label else 0.0 for j in range(classes)]


def targets(label, classes, smoothing):
    return [(1 - smoothing) * y + smoothing / classes for y in unit(label, classes)]


def log_likelihood(z, label, smoothing=0.0):
    """(cost, delta) of one image."""
    highest = max(z)
    powers = [math.exp(v - highest) for v in z]
    total = sum(powers)
    cost, delta = 0.0, []
    for v, power, t in zip(z, powers, targets(label, len(z), smoothing), strict=True):
        cost += t * (math.log(total) + highest - v)
        delta.append(power / total - t)
    return cost, delta


def softplus(v):
    """ln(1 + e^v)."""
    return v + math.log1p(math.exp(-v)) if v > 0 else math.log1p(math.exp(v))


def cross_entropy(z, label, smoothing=0.0):
    cost, delta = 0.0, []
    for v, t in zip(z, targets(label, len(z), smoothing), strict=True):
        # -ln sigma(v) = ln(1 + e^-v), and -ln(1 - sigma(v)) = ln(1 + e^v)
        cost += t * softplus(-v) + (1 - t) * softplus(v)
        delta.append(sigmoid(v) - t)
    return cost, delta


def cross_entropy_of(a, y):
    """The cost of activations a where y was wanted."""
    return -sum(v * math.log(p) + (1 - v) * math.log(1 - p) for p, v in zip(a, y, strict=True))


def quadratic(z, label, activation, smoothing=0.0):
    cost, delta = 0.0, []
    for v, t in zip(z, targets(label, len(z), smoothing), strict=True):
        difference = ACTIVATIONS[activation](v) - t
        cost += difference**2 / 2
        delta.append(difference * DERIVATIVES[activation](v))
    return cost, delta


def sgd(parameters, velocity, gradient, weights, eta, decay, decay_l1, momentum, nesterov):
    """(parameters, velocity) after one step."""
    parameters, velocity = np.array(parameters, np.float64), np.array(velocity, np.float64)
    for i in range(len(parameters)):
        g = float(gradient[i])
        if i < weights:
            g += decay * parameters[i] + decay_l1 * np.sign(parameters[i])
        velocity[i] = momentum * velocity[i] - eta * g
        parameters[i] += momentum * velocity[i] - eta * g if nesterov else velocity[i]
    return parameters, velocity


def adam(parameters, m, s, gradient, weights, step, *, eta, decay, decay_l1, betas, decoupled):
    """(parameters, m, s) after step number `step`, from 1."""
    parameters, m, s = (np.array(array, np.float64) for array in (parameters, m, s))
    for i in range(len(parameters)):
        w, g = parameters[i], float(gradient[i])
        if i < weights:
            g += decay_l1 * np.sign(w)
            if decoupled:
                parameters[i] -= eta * decay * w
            else:
                g += decay * w
        m[i] = betas[0] * m[i] + (1 - betas[0]) * g
        s[i] = betas[1] * s[i] + (1 - betas[1]) * g**2
        mean, square = m[i] / (1 - betas[0] ** step), s[i] / (1 - betas[1] ** step)
        parameters[i] -= eta * mean / (np.sqrt(square) + 1e-8)
    return parameters, m, s


SHIFTS = (
    (0, 0),
    (-1, 0),
    (1, 0),
    (0, -1),
    (0, 1),
)  # none, up, down, left, right: (rows down, columns right)


def moved(image, move):
    """An image (channels, rows, columns) moved by one pixel, the emptied edge 0."""
    down, right = SHIFTS[move]
    out = np.zeros_like(image)
    for c, y, x in np.ndindex(*image.shape):
        if 0 <= y - down < image.shape[1] and 0 <= x - right < image.shape[2]:
            out[c, y, x] = image[c, y - down, x - right]
    return out


def standardised(image, standard):
    """An image (channels, rows, columns): each channel less its mean, over its deviation."""
    return np.stack(
        [
            (channel - mean) / deviation
            for channel, mean, deviation in zip(image, *np.float64(standard), strict=True)
        ]
    )


def spline(t):
    """The weights of four points of a uniform cubic B-spline."""
    return [
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    ]


def distorted(image, number, seed, step, rotate, zoom, shift, elastic, flip=0, crop=0, cells=4):
    """The image as the mini-batch's image of that number is distorted in that step.

    image: (channels, rows, columns).
    """
    points, (rows, columns) = cells + 3, image.shape[1:]
    first = number * (5 + 2 * points**2)

    def random(k):
        return 2 * uniform(seed, step, 2**32, first + k) - 1

    theta, centre = rotate * random(0), np.array([(rows - 1) / 2, (columns - 1) / 2])
    mini_batch = np.array([[math.cos(theta), math.sin(theta)], [-math.sin(theta), math.cos(theta)]])
    scales, moved = (
        np.array([1 + zoom * random(1), 1 + zoom * random(2)]),
        shift * np.array([random(3), random(4)]),
    )
    mirrored, cropped = flip_and_crop(number, seed, step, flip, crop, cells)
    scales, moved = scales * [1, -1 if mirrored else 1], moved + cropped
    grid = elastic * np.array([random(5 + k) for k in range(2 * points**2)]).reshape(
        2, points, points
    )
    out, framed = np.zeros(image.shape), np.pad(np.float64(image), ((0, 0), (1, 1), (1, 1)))
    for y, x in np.ndindex(rows, columns):
        (i, down), (j, right) = (
            divmod((place + 0.5) * cells / size, 1) for place, size in ((y, rows), (x, columns))
        )
        around = grid[:, int(i) : int(i) + 4, int(j) : int(j) + 4]
        bent = np.einsum("cij,i,j->c", around, spline(down), spline(right))
        sy, sx = centre + mini_batch @ ((np.array([y, x]) - centre) / scales) - moved + bent
        sy, sx = min(max(sy + 1, 0), rows + 1), min(max(sx + 1, 0), columns + 1)
        v, h = min(int(sy), rows), min(int(sx), columns)
        for c in range(len(image)):
            corners = framed[c, v : v + 2, h : h + 2]
            out[c, y, x] = [1 - (sy - v), sy - v] @ corners @ [1 - (sx - h), sx - h]
    return out


def flip_and_crop(number, seed, step, flip, crop, cells=4):
    """(whether the mini-batch's image of that number is mirrored, (down, right) of its move)."""
    first = 2**40 + number * (5 + 2 * (cells + 3) ** 2)
    drawn = [uniform(seed, step, 2**32, first + k) for k in range(3)]
    down, right = (math.floor(u * (2 * crop + 1)) - crop for u in drawn[1:])
    return drawn[0] < flip, (down, right)


def splitmix(bits):
    """SplitMix64's finaliser, on Python's whole numbers."""
    mask = 2**64 - 1
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
    return bits ^ (bits >> 31)


def uniform(seed, step, layer, element):
    golden = 0x9E3779B97F4A7C15
    key = splitmix(splitmix(splitmix((seed + golden) % 2**64) ^ step) ^ layer)
    return (splitmix((key + element * golden) % 2**64) >> 11) / 2**53
