"""Dense layers. A mini-batch is a matrix with a row for each image: the transpose of the book's."""

from ..compilation import FLAGS, PLAIN, njit
from ..scalar import activated


@njit(**PLAIN)
def dense_forward(a, x, w, b, activation):
    """a[n, j] = sigma(b[j] + sum_k w[j, k] x[n, k]), equation (25).

    sigma is `activated` with `activation`. a: (images, neurons out), overwritten. x: (images,
    neurons in). w: (neurons out, neurons in). b: (neurons out,).
    """
    images, n_out = a.shape
    _, n_in = x.shape
    for n in range(images):
        for j in range(n_out):
            z = b[j]
            for k in range(n_in):
                z += w[j, k] * x[n, k]
            a[n, j] = activated(z, activation)


@njit(**PLAIN)
def dense_backward_weights(dw, dz, a):
    """dC/dw[j, k] = sum_n dz[n, j] a[n, k], equation (BP4).

    dw: (neurons out, neurons in), overwritten. dz: (images, neurons out). a: (images, neurons in).
    """
    n_out, n_in = dw.shape
    dw[:] = 0
    for n in range(dz.shape[0]):
        for j in range(n_out):
            for k in range(n_in):
                dw[j, k] += dz[n, j] * a[n, k]


@njit(**FLAGS)
def dense_backward_biases(db, dz):
    """dC/db[j] = sum_n dz[n, j], equation (BP3).

    db: (neurons out,), overwritten. dz: (images, neurons out).
    """
    images, n_out = dz.shape
    db[:] = 0
    for n in range(images):
        for j in range(n_out):
            db[j] += dz[n, j]


@njit(**PLAIN)
def dense_backward_input(da, dz, w):
    """dC/da[n, k] = sum_j w[j, k] dz[n, j], equation (BP2) before its factor sigma'(z).

    da: (images, neurons in), overwritten. dz: (images, neurons out). w: (neurons out, neurons in).
    """
    n_out, n_in = w.shape
    da[:] = 0
    for n in range(dz.shape[0]):
        for j in range(n_out):
            for k in range(n_in):
                da[n, k] += w[j, k] * dz[n, j]


@njit(**PLAIN)
def dense_descend(w, b, dz, a, rates):
    """w[j, k] = (1 - eta decay) w[j, k] - eta sum_n dz[n, j] a[n, k]; b[j] -= eta sum_n dz[n, j].

    Equations (91) and (90) with (BP4) and (BP3) put in: `dense_backward_weights`,
    `dense_backward_biases` and `sgd` without momentum in one. w, b: updated. dz, a: as in
    `dense_backward_weights`. rates: (eta, decay, ...), float64; decay is lmbda / n.
    """
    n_out, n_in = w.shape
    eta, shrink = w.dtype.type(rates[0]), w.dtype.type(1 - rates[0] * rates[1])
    w *= shrink
    for n in range(dz.shape[0]):
        for j in range(n_out):
            step = eta * dz[n, j]
            b[j] -= step
            for k in range(n_in):
                w[j, k] -= step * a[n, k]
