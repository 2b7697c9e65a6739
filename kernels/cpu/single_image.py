"""What only a single image needs: its rows of outputs are too short to fill vector registers.

With several images, a vector holds a column's images. A single image's vectors hold columns, of two
rows at once where a row fills at most half a vector, and its pooling reads every second column.
"""

from typing import Any

from llvmlite import ir

from ..compilation import INLINE, INNER, njit
from . import simd
from .simd import INDEX, INT, MR, VECTOR_BYTES, Code, Tile, lanes, operation, pointer
from .tile import ONE, ZERO


def _load_every_second(to: Code, tile: Any, z: Any, z0: Any, left: Any) -> Any:
    """tile[0, t] = z[z0 + 2 t]. Tiles of one vector."""
    build, lane_count = to.builder, to.tile.lanes
    left = build.sub(build.mul(left, INDEX(2)), INDEX(1))
    is_beyond = build.icmp_unsigned(">", left, INDEX(lane_count))
    beyond = build.select(is_beyond, build.sub(left, INDEX(lane_count)), INDEX(0))
    halves = [
        to.load(to.address(z, z0, half), to.mask(part)) for half, part in enumerate((left, beyond))
    ]
    even = ir.Constant(ir.VectorType(INT, lane_count), list(range(0, 2 * lane_count, 2)))
    return build.insert_value(tile, build.shuffle_vector(*halves, even), 0)


def _halves(to: Code, z: Any, z0: Any, z_next: Any, left: Any) -> tuple[Code, list[Any], Any]:
    """(operations on half vectors, addresses of z[z0] and z[z0 + z_next], mask of `left` lanes)."""
    half = Code(to.context, to.builder, Tile(to.tile.dtype, 1, 1, VECTOR_BYTES // 2))
    addresses = [half.address(z, position) for position in (z0, to.builder.add(z0, z_next))]
    return half, addresses, half.mask(left)


def _add_outer_folded(
    to: Code, tile: Any, w: Any, w0: Any, w_row: Any, rows: Any, a: Any, a0: Any, a_next: Any,
    left: Any,
) -> Any:  # fmt: skip
    """tile[r, t] += w[w0 + r w_row] a[a0 + t] in the lower half, a[a0 + a_next + t] in the upper.

    Tiles of one vector a row.
    """
    half, addresses, mask = _halves(to, a, a0, a_next, left)
    both = ir.Constant(ir.VectorType(INT, to.tile.lanes), list(range(to.tile.lanes)))
    vector = to.builder.shuffle_vector(*(half.load(address, mask) for address in addresses), both)
    for row in range(to.tile.rows):
        tile = to.add_product(tile, row, 0, to.number(w, to.position(w0, row, w_row, rows)), vector)
    return tile


def _store_folded(
    to: Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, z_next: Any, left: Any
) -> None:
    """z[z0 + r z_row + t] = the lower half of tile[r], z[z0 + z_next + r z_row + t] the upper.

    Tiles of one vector a row.
    """
    count = to.tile.lanes // 2
    for row in range(to.tile.rows):
        half, addresses, mask = _halves(to, z, to.position(z0, row, z_row, rows), z_next, left)
        vector = to.builder.extract_value(tile, row)
        for first, address in zip((0, count), addresses, strict=True):
            numbers = ir.Constant(ir.VectorType(INT, count), list(range(first, first + count)))
            half.store(to.builder.shuffle_vector(vector, vector, numbers), address, mask)


load_every_second = operation(_load_every_second)
add_outer_folded = operation(_add_outer_folded)
store_folded = operation(_store_folded, 0)


@njit(**INNER)
def _two_rows(
    z, z0, z_row, z_next, rows, b, b0, w, w0, w_row, a, a0, a_next, taps, count, scale, length
):
    """`products_of_two_rows` behind pointers."""
    tile = simd.spread(simd.zeros(z, MR, 1), b, b0, ONE, rows)
    for k in range(count):
        tile = add_outer_folded(
            tile, w, w0 + k, w_row, rows, a, a0 + taps[k] * scale, a_next, length
        )
    store_folded(tile, z, z0, z_row, rows, z_next, length)


@njit(**INLINE)
def products_of_two_rows(
    z, z0, z_row, z_next, rows, b, b0, w, w0, w_row, a, a0, a_next, taps, count, scale, length
):
    """`tile.products` of two output rows at once, each of at most half a vector.

    The first is in the lower half of the vectors; the second, z_next and a_next further, in the
    upper.
    """
    _two_rows(
        pointer(z), z0, z_row, z_next, rows, pointer(b), b0, pointer(w), w0, w_row,
        pointer(a), a0, a_next, pointer(taps), count, scale, length,
    )  # fmt: skip


@njit(**INNER)
def max_of_row(a, argmax, a0, columns, x, x0, offsets, count):
    """`pool.max_of_row` of windows two columns apart, behind pointers: a vector holds columns."""
    zero, lane_count = simd.zeros(x, 1, 1), lanes(x)
    for q in range(ZERO, columns, lane_count):
        left = columns - q
        max_, place_of_max = load_every_second(zero, x, x0 + 2 * q, left), zero
        for place in range(ONE, count):
            value = load_every_second(zero, x, x0 + 2 * q + offsets[place], left)
            max_, place_of_max = simd.larger(max_, place_of_max, value, place)
        simd.store(max_, a, a0 + q, ZERO, ONE, left)
        simd.store(place_of_max, argmax, a0 + q, ZERO, ONE, left)
