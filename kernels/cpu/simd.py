"""Tiles: rows of vectors that stay in the processor's registers while a kernel adds products to them.

A loop that LLVM vectorises by itself loads and stores its sums at every step. A `Tile` is a Numba type whose
rows x width vectors have no address, so LLVM keeps them in registers; its few operations are written here in LLVM's
language, once for any processor, row count, width and dtype. All positions and counts are uint64.

Rows past `rows` repeat the last one, and numbers past `left` are neither read nor written: a tile at the edge of an
array is computed like any other. In this module's docstrings t runs over the numbers of a tile's row, `width` vectors.
"""

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model


def _registers() -> tuple[int, int]:
    """(bytes of a vector register, vectors beside one another in a tile) of the processor that is compiled for."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return 64, 5
    if "+avx," in features:
        return 32, 2  # sixteen registers: 5 x 2 sums, their factors, masks
    return 16, 2 if triple.startswith("x86") else 5


BYTES, WIDTH = _registers()
ROWS = 5  # 5 x 5 sums, a factor and five others: 31 of 32 registers; 20 and 40 feature maps, 10 images are whole tiles

INDEX = ir.IntType(64)
INT = ir.IntType(32)


class Tile(types.Type):
    """rows x width vectors of a float type, each of so many bytes."""

    def __init__(self, dtype: Any, rows: int, width: int, size: int = BYTES):
        self.dtype, self.rows, self.width = dtype, rows, width
        self.lanes = 8 * size // dtype.bitwidth
        self.vector = ir.VectorType(
            ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType(), self.lanes
        )
        super().__init__(f"Tile({dtype}, {rows}, {width}, {size})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile):
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.width))


class _Code:
    """What the operations say to LLVM about tiles of one type."""

    def __init__(self, context: Any, builder: Any, tile: Tile):
        self.context, self.builder, self.tile = context, builder, tile
        self.places = [(row, column) for row in range(tile.rows) for column in range(tile.width)]

    def position(self, start: Any, row: int, step: Any, rows: Any) -> Any:
        """start + min(row, rows - 1) step."""
        number: Any = INDEX(row)
        if row:
            last = self.builder.sub(rows, INDEX(1))
            number = self.builder.select(
                self.builder.icmp_unsigned("<", number, last), number, last
            )
        return self.builder.add(start, self.builder.mul(number, step))

    def splat(self, scalar: Any, like: Any = None) -> Any:
        """A vector of one number."""
        vector = like or self.tile.vector
        undefined = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, INT(0))
        return self.builder.shuffle_vector(
            one, undefined, ir.Constant(ir.VectorType(INT, vector.count), None)
        )

    def number(self, data: Any, position: Any) -> Any:
        """A vector of one number from memory."""
        return self.splat(self.builder.load(self.builder.gep(data, [position])))

    def mask(self, left: Any, column: int = 0) -> Any:
        """The lanes of a column that are before `left`."""
        lanes, most = self.tile.lanes, INDEX(self.tile.lanes * self.tile.width)
        left = self.builder.select(self.builder.icmp_unsigned("<", left, most), left, most)
        numbers = ir.VectorType(INT, lanes)
        here = ir.Constant(numbers, list(range(column * lanes, (column + 1) * lanes)))
        return self.builder.icmp_unsigned(
            "<", here, self.splat(self.builder.trunc(left, INT), numbers)
        )

    def edge(self, left: Any, column: int) -> Any:
        """The mask of a tile's column: only the last two may be cut off by `left`."""
        return self.mask(left, column) if column >= self.tile.width - 2 else None

    def call(self, name: str, vector: Any, result: Any, *arguments: Any) -> Any:
        element = vector.element
        letter, bits = (
            ("i", element.width)
            if isinstance(element, ir.IntType)
            else ("f", self.tile.dtype.bitwidth)
        )
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.{name}.v{vector.count}{letter}{bits}"
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, name), arguments
        )

    def address(self, data: Any, position: Any, column: int = 0) -> Any:
        """The address of vector `column` after that position."""
        position = self.builder.add(position, INDEX(column * self.tile.lanes))
        vector = ir.VectorType(data.type.pointee, self.tile.lanes)
        return self.builder.bitcast(self.builder.gep(data, [position]), vector.as_pointer())

    def load(self, address: Any, mask: Any) -> Any:
        """A vector from memory, integers made floats; lanes outside the mask are 0."""
        vector = address.type.pointee
        size = self.context.get_abi_sizeof(vector.element)
        if mask is None:
            loaded = self.builder.load(address)
            loaded.align = size
        else:
            loaded = self.call(
                "masked.load", vector, vector, address, INT(size), mask, ir.Constant(vector, None)
            )
        return (
            loaded if vector == self.tile.vector else self.builder.sitofp(loaded, self.tile.vector)
        )

    def store(self, values: Any, address: Any, mask: Any) -> None:
        """A vector's lanes inside the mask to memory, made integers where they lie."""
        vector = address.type.pointee
        size = self.context.get_abi_sizeof(vector.element)
        if vector != self.tile.vector:
            values = self.builder.fptosi(values, vector)
        if mask is None:
            self.builder.store(values, address).align = size
        else:
            self.call("masked.store", vector, ir.VoidType(), values, address, INT(size), mask)

    def add_product(self, tile: Any, row: int, column: int, x: Any, y: Any) -> Any:
        """The tile with x y added to one of its vectors; rounded once where the processor can."""
        at, vector = row * self.tile.width + column, self.tile.vector
        total = self.call("fmuladd", vector, vector, x, y, self.builder.extract_value(tile, at))
        return self.builder.insert_value(tile, total, at)

    def total(self, vector: Any) -> Any:
        """The sum of a vector's lanes, by halves."""
        count = self.tile.lanes
        undefined = ir.Constant(self.tile.vector, ir.Undefined)
        while count > 1:
            count //= 2
            order = [lane + count if lane < count else 0 for lane in range(self.tile.lanes)]
            upper = ir.Constant(ir.VectorType(INT, self.tile.lanes), order)
            vector = self.builder.fadd(
                vector, self.builder.shuffle_vector(vector, undefined, upper)
            )
        return self.builder.extract_element(vector, INT(0))


def _operation(code: Callable[..., Any], tiles: int = 1) -> Any:
    """The function that Numba code calls: of a tile, of arrays or pointers (`code` has the first element's address), of uint64.

    It gives what `code` returns: so many tiles, or nothing.
    """

    def typing(_: Any, tile: Tile, *others: Any) -> Any:
        takes = [
            kind if isinstance(kind, Tile | types.Array | types.CPointer) else types.uint64
            for kind in (tile, *others)
        ]
        gives = {0: types.void, 1: tile, 2: types.UniTuple(tile, 2)}[tiles]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value).data
                if isinstance(kind, types.Array)
                else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            result = code(_Code(context, builder, tile), *values)
            return context.get_dummy_value() if result is None else result

        return gives(*takes), generate

    typing.__name__, typing.__doc__ = code.__name__, code.__doc__
    vars(typing)["__signature__"] = inspect.signature(
        code
    )  # Numba would make one argument of `others`
    return intrinsic(typing)


def _pointer(_: Any, numbers: Any) -> Any:
    """Where an array's first number lies (a pointer stays what it is).

    Numba counts references to arrays, which costs a function's way in and out a call for each; to pointers it does not. Whoever
    calls keeps the array alive.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, value = signature.args[0], arguments[0]
        return (
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
        )

    return types.CPointer(numbers.dtype)(numbers), generate


def _lanes(_: Any, numbers: Any) -> Any:
    """How many of the numbers of an array, or behind a pointer, a vector holds."""
    return types.uint64(numbers), lambda *_: INDEX(8 * BYTES // numbers.dtype.bitwidth)


def _zeros(_: Any, like: Any, rows: Any, width: Any) -> Any:
    """tile[r, t] = 0, in the dtype of the array or pointer `like`; rows and width are constants."""
    tile = Tile(like.dtype, rows.literal_value, width.literal_value)
    return tile(like, rows, width), lambda context, *_: ir.Constant(
        context.get_value_type(tile), None
    )


def _load(to: _Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> Any:
    """tile[r, t] = z[z0 + r z_row + t]."""
    for at, (row, column) in enumerate(to.places):
        address = to.address(z, to.position(z0, row, z_row, rows), column)
        tile = to.builder.insert_value(tile, to.load(address, to.edge(left, column)), at)
    return tile


def _load_every_second(to: _Code, tile: Any, z: Any, z0: Any, left: Any) -> Any:
    """tile[0, t] = z[z0 + 2 t]. Tiles of one vector."""
    build, lanes = to.builder, to.tile.lanes
    left = build.sub(build.mul(left, INDEX(2)), INDEX(1))
    beyond = build.select(
        build.icmp_unsigned(">", left, INDEX(lanes)), build.sub(left, INDEX(lanes)), INDEX(0)
    )
    halves = [
        to.load(to.address(z, z0, half), to.mask(part)) for half, part in enumerate((left, beyond))
    ]
    even = ir.Constant(ir.VectorType(INT, lanes), list(range(0, 2 * lanes, 2)))
    return build.insert_value(tile, build.shuffle_vector(*halves, even), 0)


def _halves(to: _Code, z: Any, z0: Any, z_next: Any, left: Any) -> tuple[_Code, list[Any], Any]:
    """For vectors of z[z0 + t] in the lower half, z[z0 + z_next + t] in the upper: both halves' operations, addresses, mask."""
    half = _Code(to.context, to.builder, Tile(to.tile.dtype, 1, 1, BYTES // 2))
    addresses = [half.address(z, place) for place in (z0, to.builder.add(z0, z_next))]
    return half, addresses, half.mask(left)


def _add_outer_folded(to: _Code, tile: Any, w: Any, w0: Any, w_row: Any, rows: Any, a: Any, a0: Any, a_next: Any,
                      left: Any) -> Any:  # fmt: skip
    """tile[r, t] += w[w0 + r w_row] a[a0 + t] in the lower half, a[a0 + a_next + t] in the upper. Tiles of one vector a row."""
    half, addresses, mask = _halves(to, a, a0, a_next, left)
    both = ir.Constant(ir.VectorType(INT, to.tile.lanes), list(range(to.tile.lanes)))
    vector = to.builder.shuffle_vector(*(half.load(address, mask) for address in addresses), both)
    for row in range(to.tile.rows):
        tile = to.add_product(tile, row, 0, to.number(w, to.position(w0, row, w_row, rows)), vector)
    return tile


def _store_folded(
    to: _Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, z_next: Any, left: Any
) -> None:
    """z[z0 + r z_row + t] = the lower half of tile[r], z[z0 + z_next + r z_row + t] the upper. Tiles of one vector a row."""
    count = to.tile.lanes // 2
    for row in range(to.tile.rows):
        half, addresses, mask = _halves(to, z, to.position(z0, row, z_row, rows), z_next, left)
        vector = to.builder.extract_value(tile, row)
        for first, address in zip((0, count), addresses, strict=True):
            lanes = ir.Constant(ir.VectorType(INT, count), list(range(first, first + count)))
            half.store(to.builder.shuffle_vector(vector, vector, lanes), address, mask)


def _spread(to: _Code, tile: Any, b: Any, b0: Any, b_row: Any, rows: Any) -> Any:
    """tile[r, t] = b[b0 + r b_row]."""
    for at, (row, _) in enumerate(to.places):
        tile = to.builder.insert_value(tile, to.number(b, to.position(b0, row, b_row, rows)), at)
    return tile


def _store(to: _Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> None:
    """z[z0 + r z_row + t] = tile[r, t]."""
    for at, (row, column) in enumerate(to.places):
        address = to.address(z, to.position(z0, row, z_row, rows), column)
        to.store(to.builder.extract_value(tile, at), address, to.edge(left, column))


def _add_to(to: _Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> None:
    """z[z0 + r z_row + t] += tile[r, t]. z is not loaded before: the sums in the tile need not wait for it."""
    places = [
        (to.address(z, to.position(z0, row, z_row, rows), column), to.edge(left, column))
        for row, column in to.places
    ]
    sums = [
        to.builder.fadd(to.load(*place), to.builder.extract_value(tile, at))
        for at, place in enumerate(places)
    ]
    for total, place in zip(sums, places, strict=True):
        to.store(total, *place)


def _add_outer(
    to: _Code, tile: Any, w: Any, w0: Any, w_row: Any, rows: Any, a: Any, a0: Any, left: Any
) -> Any:
    """tile[r, t] += w[w0 + r w_row] a[a0 + t]."""
    factors = [to.number(w, to.position(w0, row, w_row, rows)) for row in range(to.tile.rows)]
    for column in range(to.tile.width):
        vector = to.load(to.address(a, a0, column), to.edge(left, column))
        for row in range(to.tile.rows):
            tile = to.add_product(tile, row, column, factors[row], vector)
    return tile


def _add_rows(
    to: _Code, tile: Any, w: Any, k: Any, a: Any, a0: Any, a_row: Any, rows: Any, left: Any
) -> Any:
    """tile[r, t] += w[k] a[a0 + r a_row + t]."""
    factor = to.number(w, k)
    for row, column in to.places:
        vector = to.load(
            to.address(a, to.position(a0, row, a_row, rows), column), to.edge(left, column)
        )
        tile = to.add_product(tile, row, column, factor, vector)
    return tile


def _add_pairs(to: _Code, tile: Any, d: Any, d0: Any, d_row: Any, rows: Any, a: Any, a0: Any, taps: Any, k: Any,
               columns: Any, scale: Any, left: Any) -> Any:  # fmt: skip
    """tile[r, c] += d[d0 + r d_row + lane] a[a0 + taps[k + c] scale + lane], lane by lane, for the lanes before `left`.

    Columns past `columns` repeat the last one.
    """
    mask = to.mask(left)
    left_side = [
        to.load(to.address(d, to.position(d0, row, d_row, rows)), mask)
        for row in range(to.tile.rows)
    ]
    for column in range(to.tile.width):
        tap = to.builder.load(to.builder.gep(taps, [to.position(k, column, INDEX(1), columns)]))
        right = to.load(to.address(a, to.builder.add(a0, to.builder.mul(tap, scale))), mask)
        for row in range(to.tile.rows):
            tile = to.add_product(tile, row, column, left_side[row], right)
    return tile


def _store_totals(
    to: _Code, tile: Any, s: Any, s0: Any, s_row: Any, rows: Any, s_column: Any, columns: Any
) -> None:
    """s[s0 + r s_row + k s_column] = the sum over the lanes of tile[r, k]."""
    for at, (row, column) in enumerate(to.places):
        place = to.position(to.position(s0, row, s_row, rows), column, s_column, columns)
        to.builder.store(to.total(to.builder.extract_value(tile, at)), to.builder.gep(s, [place]))


def _larger(to: _Code, best: Any, argmax: Any, x: Any, place: Any) -> Any:
    """(x, place) in the lanes where x is larger than best or first to be NaN, else (best, winner). Tiles of one vector."""
    build, old, new = to.builder, to.builder.extract_value(best, 0), to.builder.extract_value(x, 0)
    place = to.splat(build.uitofp(place, to.tile.vector.element))
    wins = build.and_(build.fcmp_unordered(">", new, old), build.fcmp_ordered("ord", old, old))
    best = build.insert_value(best, build.select(wins, new, old), 0)
    argmax = build.insert_value(
        argmax, build.select(wins, place, build.extract_value(argmax, 0)), 0
    )
    return to.context.make_tuple(build, types.UniTuple(to.tile, 2), (best, argmax))


def _add_where(to: _Code, total: Any, share: Any, argmax: Any, place: Any) -> Any:
    """total + share in the lanes whose winner is that place, else total. Tiles of one vector."""
    build, old = to.builder, to.builder.extract_value(total, 0)
    place = to.splat(build.uitofp(place, to.tile.vector.element))
    won = build.fcmp_ordered("==", build.extract_value(argmax, 0), place)
    return build.insert_value(
        total, build.select(won, build.fadd(old, build.extract_value(share, 0)), old), 0
    )


pointer: Any = intrinsic(_pointer)
lanes: Any = intrinsic(_lanes)
zeros: Any = intrinsic(prefer_literal=True)(_zeros)
load, load_every_second, spread = (
    _operation(_load),
    _operation(_load_every_second),
    _operation(_spread),
)
store, add_to = _operation(_store, 0), _operation(_add_to, 0)
add_outer, add_rows = _operation(_add_outer), _operation(_add_rows)
add_outer_folded, store_folded = _operation(_add_outer_folded), _operation(_store_folded, 0)
add_pairs, store_totals = _operation(_add_pairs), _operation(_store_totals, 0)
larger, add_where = _operation(_larger, 2), _operation(_add_where)
