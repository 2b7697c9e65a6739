"""The two inner products that all convolution and dense kernels are made of, four by four.

Both walk over `run` neighbouring numbers (the vectorised loop) while sixteen weights or sixteen sums stay
in registers, so each number that is loaded is used four times. Arrays are flat; positions are uint64,
for signed ones would make Numba test each for being negative, which keeps the loop from being vectorised.
"""

import numpy as np
from numba import njit, uint64

from ..compilation import INLINE

FOUR = uint64(4)
ZERO = uint64(0)
ONE = uint64(1)
TWO = uint64(2)
THREE = uint64(3)


@njit(**INLINE)
def blocks(count):
    """How many blocks of four hold `count` things."""
    return (count + 3) // 4


@njit(**INLINE)
def _four_rows(z, z0, z_row, w, w0, w_row, w_tap, a, a0, taps, scale, run):
    count = uint64(taps.size)
    z1 = z0 + z_row
    z2 = z1 + z_row
    z3 = z2 + z_row
    zero = z.dtype.type(0)
    for k in range(ZERO, count, FOUR):
        # Past the last tap: the last tap again, with weight zero.
        last = count - ONE
        k1 = min(k + ONE, last)
        k2 = min(k + TWO, last)
        k3 = min(k + THREE, last)
        u0 = w0 + k * w_tap
        u1 = w0 + k1 * w_tap
        u2 = w0 + k2 * w_tap
        u3 = w0 + k3 * w_tap
        w00, w10, w20, w30 = w[u0], w[u0 + w_row], w[u0 + TWO * w_row], w[u0 + THREE * w_row]
        w01, w11, w21, w31 = w[u1], w[u1 + w_row], w[u1 + TWO * w_row], w[u1 + THREE * w_row]
        w02, w12, w22, w32 = w[u2], w[u2 + w_row], w[u2 + TWO * w_row], w[u2 + THREE * w_row]
        w03, w13, w23, w33 = w[u3], w[u3 + w_row], w[u3 + TWO * w_row], w[u3 + THREE * w_row]
        if k + ONE > last:
            w01 = w11 = w21 = w31 = zero
        if k + TWO > last:
            w02 = w12 = w22 = w32 = zero
        if k + THREE > last:
            w03 = w13 = w23 = w33 = zero
        p0 = a0 + taps[k] * scale
        p1 = a0 + taps[k1] * scale
        p2 = a0 + taps[k2] * scale
        p3 = a0 + taps[k3] * scale
        for t in range(run):
            v0, v1, v2, v3 = a[p0 + t], a[p1 + t], a[p2 + t], a[p3 + t]
            z[z0 + t] += w00 * v0 + w01 * v1 + w02 * v2 + w03 * v3
            z[z1 + t] += w10 * v0 + w11 * v1 + w12 * v2 + w13 * v3
            z[z2 + t] += w20 * v0 + w21 * v1 + w22 * v2 + w23 * v3
            z[z3 + t] += w30 * v0 + w31 * v1 + w32 * v2 + w33 * v3


@njit(**INLINE)
def add_products(z, z0, z_row, rows, w, w0, w_row, w_tap, a, a0, taps, scale, run):
    """z[r, t] += sum_k w[r, k] a[tap_k + t] for up to four rows r and t < run.

    z[r, t] is z[z0 + r z_row + t], w[r, k] is w[w0 + r w_row + k w_tap], a[tap_k + t] is
    a[a0 + taps[k] scale + t]. z is added to.
    """
    if rows >= FOUR:
        _four_rows(z, z0, z_row, w, w0, w_row, w_tap, a, a0, taps, scale, run)
    else:
        for r in range(rows):
            zr = z0 + r * z_row
            wr = w0 + r * w_row
            for k in range(uint64(taps.size)):
                weight = w[wr + k * w_tap]
                p = a0 + taps[k] * scale
                for t in range(run):
                    z[zr + t] += weight * a[p + t]


@njit(**INLINE)
def dot_products(s, s0, s_row, s_tap, rows, taps, d, d0, d_row, d_line, a, a0, a_tap, a_line, lines, run):
    """s[r, k] = sum_(y, t) d[r, y, t] a[k, y, t] for up to four rows r and four taps k, y < lines, t < run.

    s[r, k] is s[s0 + r s_row + k s_tap], d[r, y, t] is d[d0 + r d_row + y d_line + t], a[k, y, t] is
    a[a0 + a_tap_k + y a_line + t] where a_tap is four positions. s is overwritten.
    """
    # Past the last row or tap: the last one again, whose sum is then written twice.
    r1 = min(ONE, rows - ONE)
    r2 = min(TWO, rows - ONE)
    r3 = min(THREE, rows - ONE)
    k1 = min(ONE, taps - ONE)
    k2 = min(TWO, taps - ONE)
    k3 = min(THREE, taps - ONE)
    zero = s.dtype.type(0)
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = zero
    s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = zero
    t0, t1, t2, t3 = a_tap
    for y in range(lines):
        d_y = d0 + y * d_line
        q0, q1, q2, q3 = d_y, d_y + r1 * d_row, d_y + r2 * d_row, d_y + r3 * d_row
        a_y = a0 + y * a_line
        p0, p1, p2, p3 = a_y + t0, a_y + t1, a_y + t2, a_y + t3
        for t in range(run):
            e0, e1, e2, e3 = d[q0 + t], d[q1 + t], d[q2 + t], d[q3 + t]
            v0, v1, v2, v3 = a[p0 + t], a[p1 + t], a[p2 + t], a[p3 + t]
            s00 += e0 * v0
            s01 += e0 * v1
            s02 += e0 * v2
            s03 += e0 * v3
            s10 += e1 * v0
            s11 += e1 * v1
            s12 += e1 * v2
            s13 += e1 * v3
            s20 += e2 * v0
            s21 += e2 * v1
            s22 += e2 * v2
            s23 += e2 * v3
            s30 += e3 * v0
            s31 += e3 * v1
            s32 += e3 * v2
            s33 += e3 * v3
    row0, row1, row2, row3 = s0, s0 + r1 * s_row, s0 + r2 * s_row, s0 + r3 * s_row
    k1, k2, k3 = k1 * s_tap, k2 * s_tap, k3 * s_tap
    s[row0], s[row0 + k1], s[row0 + k2], s[row0 + k3] = s00, s01, s02, s03
    s[row1], s[row1 + k1], s[row1 + k2], s[row1 + k3] = s10, s11, s12, s13
    s[row2], s[row2 + k1], s[row2 + k2], s[row2 + k3] = s20, s21, s22, s23
    s[row3], s[row3 + k1], s[row3 + k2], s[row3 + k3] = s30, s31, s32, s33


@njit(**INLINE)
def steps(count, step):
    """The positions 0, step, 2 step, ... of `count` taps."""
    taps = np.empty(count, np.uint64)
    for k in range(count):
        taps[k] = uint64(k * step)
    return taps
