"""The CUDA backend: every kernel by its name. The module is the backend."""

from ..distortion import LINE_LENGTH, POINTS
from .activation import activation_backward, activation_forward, dropout
from .batch_norm import (
    batch_norm_backward,
    batch_norm_fold,
    batch_norm_forward,
    batch_norm_statistics,
    batch_norm_track,
)
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
from .cost import cross_entropy, log_likelihood, quadratic, softmax
from .dense import (
    dense_backward_biases,
    dense_backward_input,
    dense_backward_weights,
    dense_descend,
    dense_forward,
)
from .device import describe, raise_as, wait
from .distort import draw_distortions, gather_distorted
from .layout import gather, images_first, images_last, outside_unit
from .memory import (
    HAS_THREADS,
    INFERENCE_BATCH,
    ON_HOST,
    PRECOMPILES,
    images_per_upload,
    micro_batches,
    read,
    resident,
    upload,
    write,
    zeros,
)
from .pool import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    l2_pool2d_backward,
    l2_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)
from .program import Program
from .update import adam, add, advance, clip, sgd
