"""
Rows of sixteen times: the vector instructions that sweeps are made of.

A sweep carries sixteen searches at once, one a *lane*; the times of a vertex are one row of sixteen 32-bit integers.
These intrinsics emit the loops over rows as LLVM vectors, which every processor has in some width: a compiler left to
itself widens the sums to 64 bits and gives up. `mark` keeps the list of the rows that a sweep climbs by.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

from engine.reach.compiled import inner

LANES = 16
"""Searches in one sweep."""
BEYOND = (1 << 29) - 1
"""[ms] What is not reached in a sweep: the sum of three such times still fits 32 bits."""

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_ROW = ir.VectorType(_I32, LANES)
_FLOATS = ir.VectorType(_F32, LANES)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Pointer to the first element of an array."""
    return context.make_array(kind)(context, builder, array).data


def _row(builder: Any, base: Any, index: Any) -> Any:
    """Pointer to a row."""
    start = builder.gep(base, [builder.mul(index, ir.Constant(_I64, LANES))])
    return builder.bitcast(start, _ROW.as_pointer())


def _splat(builder: Any, value: Any, kind: Any) -> Any:
    """Fill a vector with one value."""
    nothing = ir.Constant(kind, ir.Undefined)
    single = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(single, nothing, ir.Constant(_ROW, [0] * LANES))


def _lower(builder: Any, a: Any, b: Any) -> Any:
    """Smaller value of each lane."""
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _arc(builder: Any, times: Any, head: Any, weight: Any, arc: Any) -> tuple[Any, Any]:
    """Row at the head of an arc and the arc's weight in every lane."""
    there = builder.sext(builder.load(builder.gep(head, [arc])), _I64)
    return _row(builder, times, there), _splat(builder, builder.load(builder.gep(weight, [arc])), _ROW)


@intrinsic  # type: ignore[untyped-decorator]
def pull(typing: Any, times: Any, here: Any, head: Any, weight: Any, begin: Any, end: Any, keep: Any) -> Any:
    """
    Lower the row `here` to the rows at the heads of some arcs plus their weights; return its smallest time.

    The row starts from what it holds if `keep` is true, else from `BEYOND`.
    """
    signature = types.int32(times, types.int64, head, weight, types.int64, types.int64, types.boolean)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, heads, weights = (_data(context, builder, sig.args[i], args[i]) for i in (0, 2, 3))
        mine = _row(builder, rows, args[1])
        nothing = ir.Constant(_ROW, [BEYOND] * LANES)
        best = cgutils.alloca_once(builder, _ROW)
        builder.store(builder.select(args[6], builder.load(mine, align=4), nothing), best)
        with cgutils.for_range_slice(builder, args[4], args[5], ir.Constant(_I64, 1)) as (arc, _):
            there, time = _arc(builder, rows, heads, weights, arc)
            found = builder.add(builder.load(there, align=4), time)
            builder.store(_lower(builder, builder.load(best), found), best)
        final = builder.load(best)
        builder.store(final, mine, align=4)
        reduce = ir.FunctionType(_I32, [_ROW])
        name = f"llvm.vector.reduce.smin.v{LANES}i32"
        return builder.call(cgutils.get_or_insert_function(builder.module, reduce, name), [final])

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def push_up(typing: Any, times: Any, here: Any, head: Any, weight: Any, begin: Any, end: Any) -> Any:
    """Lower the rows at the heads of some arcs to the row `here` plus their weights."""
    signature = types.void(times, types.int64, head, weight, types.int64, types.int64)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows, heads, weights = (_data(context, builder, sig.args[i], args[i]) for i in (0, 2, 3))
        mine = builder.load(_row(builder, rows, args[1]), align=4)
        with cgutils.for_range_slice(builder, args[4], args[5], ir.Constant(_I64, 1)) as (arc, _):
            there, time = _arc(builder, rows, heads, weights, arc)
            found = builder.add(mine, time)
            builder.store(_lower(builder, builder.load(there, align=4), found), there, align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def within(typing: Any, times: Any, u: Any, v: Any, share: Any, extra: Any, access: Any, cutoff: Any) -> Any:
    """
    Tell in which lanes a street lies within a cutoff: bits 0…15 wholly for sure, bits 16…31 perhaps in part.

    The greatest time on the street is ``share · t_u + (1 − share) · t_v + extra``, taken in 32-bit floats with two
    milliseconds to spare; a lane whose nearer end plus `access` exceeds the cutoff has no part in it.
    """
    signature = types.int64(
        times, types.int64, types.int64, types.float32, types.float32, types.int32, types.int32
    )

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = _data(context, builder, sig.args[0], args[0])
        at_u = builder.load(_row(builder, rows, args[1]), align=4)
        at_v = builder.load(_row(builder, rows, args[2]), align=4)
        one, spare = ir.Constant(_F32, 1.0), ir.Constant(_F32, 2.0)
        by_u = builder.fmul(builder.sitofp(at_u, _FLOATS), _splat(builder, args[3], _FLOATS))
        by_v = builder.fmul(
            builder.sitofp(at_v, _FLOATS), _splat(builder, builder.fsub(one, args[3]), _FLOATS)
        )
        peak = builder.fadd(builder.fadd(by_u, by_v), _splat(builder, builder.fadd(args[4], spare), _FLOATS))
        most = builder.sitofp(args[6], _F32)
        wholly = builder.fcmp_ordered("<=", peak, _splat(builder, most, _FLOATS))
        left = _splat(builder, builder.sub(args[6], args[5]), _ROW)
        partly = builder.icmp_signed("<=", _lower(builder, at_u, at_v), left)
        bits = ir.IntType(LANES)
        low = builder.zext(builder.bitcast(wholly, bits), _I64)
        high = builder.zext(builder.bitcast(partly, bits), _I64)
        return builder.or_(low, builder.shl(high, ir.Constant(_I64, LANES)))

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def ones(typing: Any, bits: Any) -> Any:
    """Count the bits that are set."""
    return types.int64(types.int64), lambda context, builder, sig, args: builder.ctpop(args[0])


@intrinsic  # type: ignore[untyped-decorator]
def first_one(typing: Any, bits: Any) -> Any:
    """Number of the lowest bit that is set; there must be one."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def differ(typing: Any, before: Any, now: Any, here: Any, limit: Any) -> Any:
    """Tell in which lanes the rows `here` of two sweeps differ by a time within the limit."""
    signature = types.int64(before, now, types.int64, types.int32)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b = (
            builder.load(_row(builder, _data(context, builder, sig.args[i], args[i]), args[2]), align=4)
            for i in (0, 1)
        )
        near = builder.icmp_signed("<=", _lower(builder, a, b), _splat(builder, args[3], _ROW))
        return _bits(builder, builder.and_(near, builder.icmp_signed("!=", a, b)))

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def straddles(typing: Any, times: Any, u: Any, v: Any, forward: Any, backward: Any, cutoff: Any) -> Any:
    """
    Tell in which lanes a street lies within a cutoff: bits 0…15 wholly for sure, bits 16…31 perhaps in part.

    The time anywhere on the street is between that of its nearer end and the least of ``t_u + backward`` and
    ``t_v + forward``.
    """
    signature = types.int64(times, types.int64, types.int64, types.int32, types.int32, types.int32)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        rows = _data(context, builder, sig.args[0], args[0])
        at_u = builder.load(_row(builder, rows, args[1]), align=4)
        at_v = builder.load(_row(builder, rows, args[2]), align=4)
        forward, backward, cutoff = (_splat(builder, args[i], _ROW) for i in (3, 4, 5))
        most = _lower(builder, builder.add(at_u, backward), builder.add(at_v, forward))
        wholly = _bits(builder, builder.icmp_signed("<=", most, cutoff))
        partly = _bits(builder, builder.icmp_signed("<=", _lower(builder, at_u, at_v), cutoff))
        return builder.or_(wholly, builder.shl(partly, ir.Constant(_I64, LANES)))

    return signature, generate


def _bits(builder: Any, lanes: Any) -> Any:
    """One bit a lane."""
    return builder.zext(builder.bitcast(lanes, ir.IntType(LANES)), _I64)


@inner
def mark(x, parent, marked, rows, climb, count):  # type: ignore[no-untyped-def]
    """
    Mark a position of a hierarchy and all above it, with empty rows of times.

    Keeps ``climb[0, :count]`` the marked positions in decreasing order: what climbs first. Return the new count.
    """
    more = 0
    while x >= 0 and not marked[x]:
        marked[x] = True
        for times in rows:
            for lane in range(LANES):
                times[x, lane] = BEYOND
        climb[1, more] = x
        more += 1
        x = parent[x]
    i, j = count - 1, more - 1
    for k in range(count + more - 1, -1, -1):
        if j < 0:
            break
        if i >= 0 and climb[0, i] < climb[1, j]:
            climb[0, k] = climb[0, i]
            i -= 1
        else:
            climb[0, k] = climb[1, j]
            j -= 1
    return count + more
