"""Tiles: rows of vectors that stay in the processor's registers while a kernel adds products to them.

A loop that LLVM vectorises by itself loads and stores its sums at every step. A `Tile` is a Numba type whose
rows x width vectors have no address, so LLVM keeps them in registers; its few operations are written here in LLVM's
language, once for any processor, row count, width and dtype. All positions and counts are uint64.

Rows past `rows` repeat the last one, and numbers past `left` are neither read nor written: a tile at the edge of an
array is computed like any other. In this module's docstrings t runs over the numbers of a tile's row, `width` vectors.
"""

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


class Tile(types.Type):
    """rows x width vectors of a float type."""

    def __init__(self, dtype: Any, rows: int, width: int):
        self.dtype, self.rows, self.width = dtype, rows, width
        self.lanes = 8 * BYTES // dtype.bitwidth
        super().__init__(f"Tile({dtype}, {rows}, {width})")

    @property
    def vector(self) -> ir.VectorType:
        """LLVM's type of one vector."""
        return ir.VectorType(ir.FloatType() if self.dtype.bitwidth == 32 else ir.DoubleType(), self.lanes)

    def at(self, row: int, column: int) -> int:
        """Where vector (row, column) stands in the tile."""
        return row * self.width + column


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile):
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.width))


INDEX = ir.IntType(64)
INT = ir.IntType(32)


class _Code:
    """What the operations say to LLVM: an array's memory, vectors from and to it, fused multiply-add."""

    def __init__(self, context: Any, builder: Any, signature: Any, tile: Tile):
        self.context, self.builder, self.types, self.tile = context, builder, signature.args, tile

    def data(self, number: int, array: Any) -> Any:
        """The first element's address of the array that is argument `number`."""
        return self.context.make_array(self.types[number])(self.context, self.builder, array).data

    def position(self, start: Any, row: int, step: Any, rows: Any = None) -> Any:
        """start + min(row, rows - 1) step."""
        number: Any = INDEX(row)
        if rows is not None and row:
            last = self.builder.sub(rows, INDEX(1))
            number = self.builder.select(self.builder.icmp_unsigned("<", number, last), number, last)
        return self.builder.add(start, self.builder.mul(number, step))

    def splat(self, scalar: Any, like: Any = None) -> Any:
        """A vector of one number."""
        vector = like or self.tile.vector
        undefined = ir.Constant(vector, ir.Undefined)
        one = self.builder.insert_element(undefined, scalar, INT(0))
        return self.builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INT, vector.count), None))

    def mask(self, left: Any, column: int = 0) -> Any:
        """The lanes of a column that are before `left`."""
        lanes, most = self.tile.lanes, INDEX(self.tile.lanes * self.tile.width)
        left = self.builder.select(self.builder.icmp_unsigned("<", left, most), left, most)
        numbers = ir.VectorType(INT, lanes)
        here = ir.Constant(numbers, list(range(column * lanes, (column + 1) * lanes)))
        return self.builder.icmp_unsigned("<", here, self.splat(self.builder.trunc(left, INT), numbers))

    def edge(self, left: Any, column: int) -> Any:
        """The mask of a tile's column: only the last two may be cut off by `left`."""
        return self.mask(left, column) if column >= self.tile.width - 2 else None

    def _call(self, name: str, result: Any, *arguments: Any, of: Any = None) -> Any:
        vector = of or self.tile.vector
        letter = "i" if isinstance(vector.element, ir.IntType) else "f"
        bits = vector.element.width if letter == "i" else self.tile.dtype.bitwidth
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        name = f"llvm.{name}.v{vector.count}{letter}{bits}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), arguments)

    def address(self, data: Any, position: Any, column: int = 0) -> Any:
        """The address of vector `column` after that position."""
        position = self.builder.add(position, INDEX(column * self.tile.lanes))
        vector = ir.VectorType(data.type.pointee, self.tile.lanes)
        return self.builder.bitcast(self.builder.gep(data, [position]), vector.as_pointer())

    def load(self, address: Any, mask: Any = None) -> Any:
        """A vector from memory, integers made floats; lanes outside the mask are 0."""
        vector = address.type.pointee
        size = self.context.get_abi_sizeof(vector.element)
        if mask is None:
            loaded = self.builder.load(address)
            loaded.align = size
        else:
            loaded = self._call("masked.load", vector, address, INT(size), mask, ir.Constant(vector, None), of=vector)
        return loaded if vector == self.tile.vector else self.builder.sitofp(loaded, self.tile.vector)

    def store(self, values: Any, address: Any, mask: Any = None) -> None:
        """A vector's lanes inside the mask to memory, made integers where they lie."""
        vector = address.type.pointee
        size = self.context.get_abi_sizeof(vector.element)
        if vector != self.tile.vector:
            values = self.builder.fptosi(values, vector)
        if mask is None:
            self.builder.store(values, address).align = size
        else:
            self._call("masked.store", ir.VoidType(), values, address, INT(size), mask, of=vector)

    def multiply_add(self, x: Any, y: Any, total: Any) -> Any:
        """x y + total; rounded once where the processor can."""
        return self._call("fmuladd", self.tile.vector, x, y, total)

    def total(self, vector: Any) -> Any:
        """The sum of a vector's lanes, by halves."""
        count = self.tile.lanes
        undefined = ir.Constant(self.tile.vector, ir.Undefined)
        while count > 1:
            count //= 2
            order = [lane + count if lane < count else 0 for lane in range(self.tile.lanes)]
            upper = ir.Constant(ir.VectorType(INT, self.tile.lanes), order)
            vector = self.builder.fadd(vector, self.builder.shuffle_vector(vector, undefined, upper))
        return self.builder.extract_element(vector, INT(0))


U = types.uint64


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def zeros(typing: Any, like: Any, rows: Any, width: Any) -> Any:
    """tile[r, t] = 0, in the dtype of the array `like`."""
    tile = Tile(like.dtype, rows.literal_value, width.literal_value)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like, rows, width), code


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> Any:
    """tile[r, t] = z[z0 + r z_row + t]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, z, z0, z_row, rows, left = arguments
        to = _Code(context, builder, signature, tile)
        data = to.data(1, z)
        for column in range(tile.width):
            mask = to.edge(left, column)
            for row in range(tile.rows):
                vector = to.load(to.address(data, to.position(z0, row, z_row, rows), column), mask)
                out = builder.insert_value(out, vector, tile.at(row, column))
        return out

    return tile(tile, z, U, U, U, U), code


@intrinsic  # type: ignore[untyped-decorator]
def spread(typing: Any, tile: Any, b: Any, b0: Any, b_row: Any, rows: Any) -> Any:
    """tile[r, t] = b[b0 + r b_row]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, b, b0, b_row, rows = arguments
        to = _Code(context, builder, signature, tile)
        data = to.data(1, b)
        for row in range(tile.rows):
            vector = to.splat(builder.load(builder.gep(data, [to.position(b0, row, b_row, rows)])))
            for column in range(tile.width):
                out = builder.insert_value(out, vector, tile.at(row, column))
        return out

    return tile(tile, b, U, U, U), code


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> Any:
    """z[z0 + r z_row + t] = tile[r, t]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, z, z0, z_row, rows, left = arguments
        to = _Code(context, builder, signature, tile)
        data = to.data(1, z)
        for column in range(tile.width):
            mask = to.edge(left, column)
            for row in range(tile.rows):
                address = to.address(data, to.position(z0, row, z_row, rows), column)
                to.store(builder.extract_value(out, tile.at(row, column)), address, mask)
        return context.get_dummy_value()

    return types.void(tile, z, U, U, U, U), code


@intrinsic  # type: ignore[untyped-decorator]
def add_to(typing: Any, tile: Any, z: Any, z0: Any, z_row: Any, rows: Any, left: Any) -> Any:
    """z[z0 + r z_row + t] += tile[r, t]. z is not loaded before: the sums in the tile need not wait for it."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, z, z0, z_row, rows, left = arguments
        to = _Code(context, builder, signature, tile)
        data = to.data(1, z)
        places = [
            (to.address(data, to.position(z0, row, z_row, rows), column), to.edge(left, column))
            for row in range(tile.rows)
            for column in range(tile.width)
        ]
        sums = [builder.fadd(to.load(*place), builder.extract_value(out, at)) for at, place in enumerate(places)]
        for total, place in zip(sums, places, strict=True):
            to.store(total, *place)
        return context.get_dummy_value()

    return types.void(tile, z, U, U, U, U), code


@intrinsic  # type: ignore[untyped-decorator]
def add_rows(typing: Any, tile: Any, w: Any, k: Any, a: Any, a0: Any, a_row: Any, rows: Any, left: Any) -> Any:
    """tile[r, t] += w[k] a[a0 + r a_row + t]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, w, k, a, a0, a_row, rows, left = arguments
        to = _Code(context, builder, signature, tile)
        factor = to.splat(builder.load(builder.gep(to.data(1, w), [k])))
        data = to.data(3, a)
        for row in range(tile.rows):
            start = to.position(a0, row, a_row, rows)
            for column in range(tile.width):
                at, vector = tile.at(row, column), to.load(to.address(data, start, column), to.edge(left, column))
                out = builder.insert_value(out, to.multiply_add(factor, vector, builder.extract_value(out, at)), at)
        return out

    return tile(tile, w, U, a, U, U, U, U), code


@intrinsic  # type: ignore[untyped-decorator]
def add_outer(typing: Any, tile: Any, w: Any, w0: Any, w_row: Any, rows: Any, a: Any, a0: Any, left: Any) -> Any:
    """tile[r, t] += w[w0 + r w_row] a[a0 + t]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, w, w0, w_row, rows, a, a0, left = arguments
        to = _Code(context, builder, signature, tile)
        weights, data = to.data(1, w), to.data(5, a)
        factors = [
            to.splat(builder.load(builder.gep(weights, [to.position(w0, row, w_row, rows)])))
            for row in range(tile.rows)
        ]
        for column in range(tile.width):
            vector = to.load(to.address(data, a0, column), to.edge(left, column))
            for row in range(tile.rows):
                at = tile.at(row, column)
                out = builder.insert_value(out, to.multiply_add(factors[row], vector, builder.extract_value(out, at)), at)
        return out

    return tile(tile, w, U, U, U, a, U, U), code


def _add_pairs(tile: Any, masked: bool) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, d, d0, d_row, rows, a, a0, taps, k, columns, scale, left = arguments
        to = _Code(context, builder, signature, tile)
        left_data, right_data, tap_data = to.data(1, d), to.data(5, a), to.data(7, taps)
        mask = to.mask(left) if masked else None
        left_side = [to.load(to.address(left_data, to.position(d0, row, d_row, rows)), mask) for row in range(tile.rows)]
        for column in range(tile.width):
            tap = builder.load(builder.gep(tap_data, [to.position(k, column, INDEX(1), columns)]))
            right = to.load(to.address(right_data, builder.add(a0, builder.mul(tap, scale))), mask)
            for row in range(tile.rows):
                at = tile.at(row, column)
                out = builder.insert_value(out, to.multiply_add(left_side[row], right, builder.extract_value(out, at)), at)
        return out

    return code


@intrinsic  # type: ignore[untyped-decorator]
def add_pairs(
    typing: Any, tile: Any, d: Any, d0: Any, d_row: Any, rows: Any, a: Any, a0: Any, taps: Any, k: Any, columns: Any, scale: Any,
    left: Any,
) -> Any:  # fmt: skip
    """tile[r, c] += d[d0 + r d_row + lane] a[a0 + taps[k + c] scale + lane], lane by lane, for all lanes."""
    return tile(tile, d, U, U, U, a, U, taps, U, U, U, U), _add_pairs(tile, masked=False)


@intrinsic  # type: ignore[untyped-decorator]
def add_last_pairs(
    typing: Any, tile: Any, d: Any, d0: Any, d_row: Any, rows: Any, a: Any, a0: Any, taps: Any, k: Any, columns: Any, scale: Any,
    left: Any,
) -> Any:  # fmt: skip
    """As `add_pairs`, for the lanes before `left` alone."""
    return tile(tile, d, U, U, U, a, U, taps, U, U, U, U), _add_pairs(tile, masked=True)


@intrinsic  # type: ignore[untyped-decorator]
def store_totals(typing: Any, tile: Any, s: Any, s0: Any, s_row: Any, rows: Any, s_column: Any, columns: Any) -> Any:
    """s[s0 + r s_row + k s_column] = the sum over the lanes of tile[r, k]."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, s, s0, s_row, rows, s_column, columns = arguments
        to = _Code(context, builder, signature, tile)
        data = to.data(1, s)
        for row in range(tile.rows):
            start = to.position(s0, row, s_row, rows)
            for column in range(tile.width):
                total = to.total(builder.extract_value(out, tile.at(row, column)))
                builder.store(total, builder.gep(data, [to.position(start, column, s_column, columns)]))
        return context.get_dummy_value()

    return types.void(tile, s, U, U, U, U, U), code


# Pooling takes tiles of one vector.


@intrinsic  # type: ignore[untyped-decorator]
def larger(typing: Any, best: Any, winner: Any, x: Any, place: Any) -> Any:
    """(x, place) in the lanes where x is larger than best or first to be NaN, else (best, winner)."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        best, winner, x, place = arguments
        to = _Code(context, builder, signature, signature.args[0])
        old, new = builder.extract_value(best, 0), builder.extract_value(x, 0)
        place = to.splat(builder.uitofp(place, to.tile.vector.element))
        wins = builder.and_(builder.fcmp_unordered(">", new, old), builder.fcmp_ordered("ord", old, old))
        best = builder.insert_value(best, builder.select(wins, new, old), 0)
        winner = builder.insert_value(winner, builder.select(wins, place, builder.extract_value(winner, 0)), 0)
        return context.make_tuple(builder, signature.return_type, (best, winner))

    return types.UniTuple(best, 2)(best, winner, x, U), code


@intrinsic  # type: ignore[untyped-decorator]
def add_where(typing: Any, total: Any, share: Any, winner: Any, place: Any) -> Any:
    """total + share in the lanes whose winner is that place, else total."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, share, winner, place = arguments
        to = _Code(context, builder, signature, signature.args[0])
        place = to.splat(builder.uitofp(place, to.tile.vector.element))
        won = builder.fcmp_ordered("==", builder.extract_value(winner, 0), place)
        old = builder.extract_value(total, 0)
        new = builder.fadd(old, builder.extract_value(share, 0))
        return builder.insert_value(total, builder.select(won, new, old), 0)

    return total(total, share, winner, U), code
