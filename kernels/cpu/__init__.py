"""The CPU backend: every kernel by its name. The module is the backend.

Kernels that plain loops make as fast as any are those of the reference backend.
"""

from ..distortion import LINE_LENGTH, POINTS
from ..reference import (
    add,
    advance,
    avg_pool2d_backward,
    avg_pool2d_forward,
    batch_norm_backward,
    batch_norm_fold,
    batch_norm_forward,
    batch_norm_statistics,
    batch_norm_track,
    cross_entropy,
    dense_backward_biases,
    draw_distortions,
    dropout,
    images_per_upload,
    l2_pool2d_backward,
    l2_pool2d_forward,
    log_likelihood,
    quadratic,
    read,
    resident,
    softmax,
    upload,
    wait,
    write,
)
from .activation import activation_backward, activation_forward
from .conv import (
    conv2d_backward_biases,
    conv2d_backward_input,
    conv2d_backward_weights,
    conv2d_forward,
    conv2d_pad,
    conv2d_unpad,
)
from .conv_pool import conv2d_max_pool_forward
from .conv_pool_backward import conv2d_max_pool_backward
from .dense import dense_backward_input, dense_backward_weights, dense_descend, dense_forward
from .distort import gather_distorted
from .layout import gather, images_first, images_last, outside_unit
from .memory import HAS_THREADS, INFERENCE_BATCH, ON_HOST, PRECOMPILES, micro_batches, zeros
from .pool import max_pool2d_backward, max_pool2d_forward
from .program import Program
from .update import adam, clip, sgd
