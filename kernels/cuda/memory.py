"""The memory of the CUDA backend: arrays of the device, of which the host has copies.

Data sets stay on the device as they are stored (uint8, as a rule) if they fill no more than
RESIDENT_SHARE of its free memory. Others are uploaded in parts, each copied while the device works
on the one before.
"""

import threading
import weakref
from typing import Any

import numpy as np

from . import device

INFERENCE_BATCH = 2048  # images at a time where nothing is trained
# Kernels are compiled when launched; a second process would only take the device's memory.
PRECOMPILES = False
HAS_THREADS = False
ON_HOST = device.IS_SIMULATED
RESIDENT_SHARE = 0.5
PIECE_BYTES = 2**28  # bytes of images at most in a piece, of which two are on the device

_residents: dict[
    int, Any
] = {}  # by the array's identity: a weak reference to it, and its copy on the device
_slots: dict[
    Any, Any
] = {}  # by thread, dtype and axes: two slots, of which each array takes the other one
_scratch: dict[Any, list[Any]] = {}  # by name and dtype


def zeros(shape, dtype):
    """An array of the device, filled with zeros."""
    array = device.empty(tuple(shape), dtype)
    if array.size:
        device.put(array, np.zeros(tuple(shape), dtype))
    return array


def read(array):
    """What the kernels have left in an array, for the host to look at: a copy."""
    return device.fetch(array)


def write(array, values):
    """array = values, a number or an array of host or device, before the kernels' next call."""
    if not device.is_here(values):
        values = np.array(np.broadcast_to(values, tuple(array.shape)), array.dtype, order="C")
    device.put(array, values)


def resident(array):
    """An array of the host where the kernels can read it; None if it is too large.

    It can be read for as long as the host's array lives. The copy is made once: what the host
    writes into the array later is not seen.
    """
    key = id(array)
    known = _residents.get(key)
    if known is not None and known[0]() is array:
        return known[1]
    if array.nbytes > RESIDENT_SHARE * device.memory()[0]:
        return None
    copy = device.empty(array.shape, array.dtype)
    device.put(copy, array)
    _residents[key] = weakref.ref(array, lambda _: _residents.pop(key, None)), copy
    return copy


def upload(array):
    """A copy of the array for kernels that are launched before the next upload in this thread."""
    key = threading.get_ident(), array.dtype, array.ndim
    slots = _slots.get(key)
    if slots is None or slots[0].here.size < array.size:
        size = max(array.size, 2 * slots[0].here.size if slots else 0)
        slots = _slots[key] = [device.Slot(size, array.dtype) for _ in range(2)]
    slots.reverse()
    slots[1].leave()
    return slots[0].take(array)


def images_per_upload(image_bytes):
    """How many images of that size are uploaded at a time, where not all of them are resident."""
    return max(1, int(min(PIECE_BYTES, RESIDENT_SHARE / 4 * device.memory()[0])) // image_bytes)


def micro_batches(count):
    """In how many slices a mini-batch goes through the layers of feature maps.

    One: it goes whole, so that the device is full.
    """
    return 1


def scratch(name, size, dtype):
    """Room for numbers that one kernel leaves for the next.

    What has been handed out stays valid: graphs remember it.
    """
    rooms = _scratch.setdefault((name, np.dtype(dtype)), [])
    if not rooms or rooms[-1].size < size:
        rooms.append(device.empty((size,), dtype))
    return rooms[-1][:size]
