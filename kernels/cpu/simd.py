"""Tiles: rows of vectors that stay in registers while a kernel adds products to them.

A loop that LLVM vectorises by itself loads and stores its sums at every step. A `Tile` is a Numba
type whose rows x width vectors have no address, so LLVM keeps them in registers. Its operations are
written here in LLVM's language, once for every processor, number of rows, width and dtype. All
positions and counts are uint64.

Rows past `rows` repeat the last one, and numbers past `left` are neither read nor written: a tile
at the edge of an array is computed like any other. `left` is None for a tile that is whole. In this
module's docstrings t runs over the numbers of a tile's row, `width` vectors.
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
    """(bytes of a vector register, NR) of the processor that is compiled for."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return 64, 5
    if "+avx," in features:
        return 32, 2  # sixteen registers: 5 x 2 sums, their factors, masks
    return 16, (2 if triple.startswith("x86") else 5)


# MR rows of NR vectors are a register tile: BLIS's names, though its NR counts numbers.
# 5 x 5 sums, a factor and five others are 31 of 32 registers. 20 and 40 feature maps and 10 images
# are whole tiles.
VECTOR_BYTES, NR = _registers()
MR = 5

INDEX = ir.IntType(64)
INT = ir.IntType(32)


class Tile(types.Type):
    """rows x width vectors of `size` bytes, of a float type."""

    def __init__(self, dtype: Any, rows: int, width: int, size: int = VECTOR_BYTES):
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


class Code:
    """LLVM instructions for tiles of one type."""

    def __init__(self, context: Any, builder: Any, tile: Tile):
        self.context, self.builder, self.tile = context, builder, tile
        self.vectors = [(row, column) for row in range(tile.rows) for column in range(tile.width)]

    def position(self, start: Any, row: int, stride: Any, rows: Any) -> Any:
        """start + min(row, rows - 1) stride."""
        number: Any = INDEX(row)
        if row:
            last = self.builder.sub(rows, INDEX(1))
            is_before = self.builder.icmp_unsigned("<", number, last)
            number = self.builder.select(is_before, number, last)
        return self.builder.add(start, self.builder.mul(number, stride))

    def splat(self, scalar: Any, like: Any = None) -> Any:
        """A vector of one number."""
        vector = like or self.tile.vector
        undefined = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, INT(0))
        zeros = ir.Constant(ir.VectorType(INT, vector.count), None)
        return self.builder.shuffle_vector(one, undefined, zeros)

    def number(self, data: Any, position: Any) -> Any:
        """A vector of one number from memory."""
        return self.splat(self.builder.load(self.builder.gep(data, [position])))

    def mask(self, left: Any, column: int = 0) -> Any:
        """The lanes of a column that are before `left`."""
        lane_count = self.tile.lanes
        max_ = INDEX(lane_count * self.tile.width)
        left = self.builder.select(self.builder.icmp_unsigned("<", left, max_), left, max_)
        numbers = ir.VectorType(INT, lane_count)
        first = column * lane_count
        lane_numbers = ir.Constant(numbers, list(range(first, first + lane_count)))
        limit = self.splat(self.builder.trunc(left, INT), numbers)
        return self.builder.icmp_unsigned("<", lane_numbers, limit)

    def edge(self, left: Any, column: int) -> Any:
        """The mask of a tile's column: only the last two may be cut off by `left`."""
        is_whole = left is None or column < self.tile.width - 2
        return None if is_whole else self.mask(left, column)

    def call(self, name: str, vector: Any, result: Any, *arguments: Any) -> Any:
        """Call LLVM's intrinsic of that name for vectors of that type."""
        if isinstance(vector.element, ir.IntType):
            suffix = f"v{vector.count}i{vector.element.width}"
        else:
            suffix = f"v{vector.count}f{self.tile.dtype.bitwidth}"
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        module = self.builder.module
        function = cgutils.get_or_insert_function(module, kind, f"llvm.{name}.{suffix}")
        return self.builder.call(function, arguments)

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
            zero = ir.Constant(vector, None)
            loaded = self.call("masked.load", vector, vector, address, INT(size), mask, zero)
        if vector == self.tile.vector:
            return loaded
        return self.builder.sitofp(loaded, self.tile.vector)

    def store(self, values: Any, address: Any, mask: Any) -> None:
        """A vector's lanes inside the mask to memory, made integers if memory holds integers."""
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


def operation(code: Callable[..., Any], tiles: int = 1) -> Any:
    """The function that Numba code calls: of a tile, of arrays or pointers, of uint64.

    `code` gets the address of an array's first element. tiles: how many `code` returns, 0 to 2.
    """

    def typing(_: Any, tile: Tile, *others: Any) -> Any:
        own = Tile | types.Array | types.CPointer | types.NoneType
        takes = [kind if isinstance(kind, own) else types.uint64 for kind in (tile, *others)]
        gives = {0: types.void, 1: tile, 2: types.UniTuple(tile, 2)}[tiles]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value).data
                if isinstance(kind, types.Array)
                else (None if isinstance(kind, types.NoneType) else value)
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            result = code(Code(context, builder, tile), *values)
            return context.get_dummy_value() if result is None else result

        return gives(*takes), generate

    typing.__name__, typing.__doc__ = code.__name__, code.__doc__
    # Without it, Numba would make one argument of `others`.
    vars(typing)["__signature__"] = inspect.signature(code)
    return intrinsic(typing)


def _pointer(_: Any, numbers: Any) -> Any:
    """A pointer to an array's first number; a pointer stays what it is.

    Numba counts references to arrays, a call for each as a function begins and ends, but not to
    pointers. The caller keeps the array alive.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, value = signature.args[0], arguments[0]
        if isinstance(kind, types.Array):
            return context.make_array(kind)(context, builder, value).data
        return value

    return types.CPointer(numbers.dtype)(numbers), generate


def _lanes(_: Any, numbers: Any) -> Any:
    """How many numbers of the dtype of an array or pointer a vector holds."""
    return types.uint64(numbers), lambda *_: INDEX(8 * VECTOR_BYTES // numbers.dtype.bitwidth)


def _zeros(_: Any, like: Any, rows: Any, width: Any, size: Any = None) -> Any:
    """tile[r, t] = 0, in the dtype of the array or pointer `like`; the others are constants."""
    size = size or types.Omitted(VECTOR_BYTES)
    bytes_ = getattr(size, "literal_value", VECTOR_BYTES)
    tile = Tile(like.dtype, rows.literal_value, width.literal_value, bytes_)

    def generate(context: Any, *_: Any) -> Any:
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like, rows, width, size), generate


def _load(to: Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> Any:
    """tile[r, t] = z[z0 + r z_row + t]."""
    for at, (row, column) in enumerate(to.vectors):
        address = to.address(z, to.position(z0, row, z_row, rows), column)
        tile = to.builder.insert_value(tile, to.load(address, to.edge(left, column)), at)
    return tile


def _spread(to: Code, tile: Any, b: Any, b0: Any, b_row: Any, rows: Any) -> Any:
    """tile[r, t] = b[b0 + r b_row]."""
    for at, (row, _) in enumerate(to.vectors):
        tile = to.builder.insert_value(tile, to.number(b, to.position(b0, row, b_row, rows)), at)
    return tile


def _store(to: Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> None:
    """z[z0 + r z_row + t] = tile[r, t]."""
    for at, (row, column) in enumerate(to.vectors):
        address = to.address(z, to.position(z0, row, z_row, rows), column)
        to.store(to.builder.extract_value(tile, at), address, to.edge(left, column))


def _add_to(to: Code, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> None:
    """z[z0 + r z_row + t] += tile[r, t]. z is loaded last, so that no sum waits for it."""
    targets = [
        (to.address(z, to.position(z0, row, z_row, rows), column), to.edge(left, column))
        for row, column in to.vectors
    ]
    sums = [
        to.builder.fadd(to.load(*target), to.builder.extract_value(tile, at))
        for at, target in enumerate(targets)
    ]
    for total, target in zip(sums, targets, strict=True):
        to.store(total, *target)


def _add_outer(
    to: Code, tile: Any, w: Any, w0: Any, w_row: Any, rows: Any, a: Any, a0: Any, left: Any
) -> Any:
    """tile[r, t] += w[w0 + r w_row] a[a0 + t]."""
    factors = [to.number(w, to.position(w0, row, w_row, rows)) for row in range(to.tile.rows)]
    for column in range(to.tile.width):
        vector = to.load(to.address(a, a0, column), to.edge(left, column))
        for row in range(to.tile.rows):
            tile = to.add_product(tile, row, column, factors[row], vector)
    return tile


def _add_rows(
    to: Code, tile: Any, w: Any, k: Any, a: Any, a0: Any, a_row: Any, rows: Any, left: Any
) -> Any:
    """tile[r, t] += w[k] a[a0 + r a_row + t]."""
    factor = to.number(w, k)
    for row, column in to.vectors:
        vector = to.load(
            to.address(a, to.position(a0, row, a_row, rows), column), to.edge(left, column)
        )
        tile = to.add_product(tile, row, column, factor, vector)
    return tile


def _add_pairs(
    to: Code, tile: Any, d: Any, d0: Any, d_row: Any, rows: Any, a: Any, a0: Any, taps: Any, k: Any,
    columns: Any, scale: Any, left: Any,
) -> Any:  # fmt: skip
    """tile[r, c] += d[d0 + r d_row + lane] a[a0 + taps[k + c] scale + lane], lane by lane.

    For the lanes before `left`. Columns past `columns` repeat the last one.
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
    to: Code, tile: Any, s: Any, s0: Any, s_row: Any, rows: Any, s_column: Any, columns: Any
) -> None:
    """s[s0 + r s_row + k s_column] = the sum over the lanes of tile[r, k]."""
    for at, (row, column) in enumerate(to.vectors):
        position = to.position(to.position(s0, row, s_row, rows), column, s_column, columns)
        total = to.total(to.builder.extract_value(tile, at))
        to.builder.store(total, to.builder.gep(s, [position]))


def _larger(to: Code, max_: Any, argmax: Any, x: Any, place: Any) -> Any:
    """(x, place) in the lanes where x is larger than max_ or the first NaN, else (max_, argmax).

    Tiles of one vector.
    """
    build = to.builder
    old, new = build.extract_value(max_, 0), build.extract_value(x, 0)
    old_place = build.extract_value(argmax, 0)
    new_place = to.splat(build.uitofp(place, to.tile.vector.element))
    is_larger = build.and_(build.fcmp_unordered(">", new, old), build.fcmp_ordered("ord", old, old))
    max_ = build.insert_value(max_, build.select(is_larger, new, old), 0)
    argmax = build.insert_value(argmax, build.select(is_larger, new_place, old_place), 0)
    return to.context.make_tuple(build, types.UniTuple(to.tile, 2), (max_, argmax))


def _add_where(to: Code, total: Any, delta: Any, argmax: Any, place: Any) -> Any:
    """total + delta in the lanes whose argmax is that place, else total. Tiles of one vector."""
    build = to.builder
    old = build.extract_value(total, 0)
    place = to.splat(build.uitofp(place, to.tile.vector.element))
    is_max = build.fcmp_ordered("==", build.extract_value(argmax, 0), place)
    new = build.fadd(old, build.extract_value(delta, 0))
    return build.insert_value(total, build.select(is_max, new, old), 0)


pointer: Any = intrinsic(_pointer)
lanes: Any = intrinsic(_lanes)
zeros: Any = intrinsic(prefer_literal=True)(_zeros)
load = operation(_load)
spread = operation(_spread)
store = operation(_store, 0)
add_to = operation(_add_to, 0)
add_outer = operation(_add_outer)
add_rows = operation(_add_rows)
add_pairs = operation(_add_pairs)
store_totals = operation(_store_totals, 0)
larger = operation(_larger, 2)
add_where = operation(_add_where)
