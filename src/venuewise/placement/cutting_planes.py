"""Polyhedral models of a convex function: their minimum, and the nearest point below a level.

A cut is an affine function `c + g.x` that nowhere exceeds the function to be minimised. The lowest point of
the highest cut is a lower bound (a linear programme in few dimensions and many rows: dual simplex), and the
point closest to the best one known at which all cuts lie under a level is where to look next (a projection:
dual active set after Goldfarb and Idnani). Both live in `kernels`' units, where the order is 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

TOLERANCE = 1e-13
"""Violation below which a row counts as satisfied; costs per share and shares are of order 1e-2 and 1."""


@kernel
def safe_bound(
    weights: Float64, share: float, slopes: Float64, offsets: Float64, low: Float64, high: Float64
) -> float:
    """Lower bound that the weighted cuts prove, valid for any weights >= 0 whatever their rounding.

    `share` >= 0 is the multiplier of the row `sum x >= 1`.
    """
    dims = low.size
    total = 0.0
    for i in range(weights.size):
        total += weights[i]
    if not total > 0.0:
        return -np.inf
    bound = share / total
    for i in range(weights.size):
        bound += weights[i] / total * offsets[i]
    for j in range(dims):
        slope = -share / total
        for i in range(weights.size):
            if weights[i] > 0.0:
                slope += weights[i] / total * slopes[i, j]
        bound += min(slope * low[j], slope * high[j])
    return bound


@kernel
def model_minimum(
    slopes: Float64,
    offsets: Float64,
    cuts: int,
    low: Float64,
    high: Float64,
    at_least: bool,
    active: Int64,
    point: Float64,
) -> float:
    """Minimise the highest of the cuts over a box, optionally with `sum x >= 1`; return a safe lower bound.

    Rows of the linear programme over z = (x, t): 2j is x_j >= low_j, 2j+1 is -x_j >= -high_j, 2d is the sum,
    2d+1+i is t - g_i.x >= c_i. `active` holds the d+1 rows of the vertex and is the warm start: any cut of
    an earlier call stays valid as a start. A first entry of -1 asks for a cold start. `point` receives x.
    """
    dims = low.size
    size = dims + 1
    first_cut = 2 * dims + 1
    inverse = np.empty((size, size))
    normal = np.empty(size)
    multipliers = np.zeros(size)
    vertex = np.empty(size)
    coefficients = np.empty(size)
    right = np.empty(size)
    if active[0] < 0:
        # One cut, and for each variable the bound that the cut's slope pushes it against: dual feasible.
        active[dims] = first_cut
        for j in range(dims):
            active[j] = 2 * j if slopes[0, j] >= 0.0 else 2 * j + 1
    refresh = 0
    limit = 40 * size + 20
    for _ in range(limit):
        if refresh == 0:
            rows = np.empty((size, size))
            for i in range(size):
                row_normal(active[i], slopes, dims, rows[i])
                rows[i, dims] = 1.0 if active[i] >= first_cut else 0.0
            if not invert(rows, inverse):
                break
            for i in range(size):
                multipliers[i] = max(inverse[dims, i], 0.0)
            refresh = 24
        refresh -= 1
        for i in range(size):
            row = active[i]
            if row >= first_cut:
                right[i] = offsets[row - first_cut]
            elif row == 2 * dims:
                right[i] = 1.0
            else:
                right[i] = low[row // 2] if row % 2 == 0 else -high[row // 2]
        for j in range(size):
            vertex[j] = 0.0
            for i in range(size):
                vertex[j] += inverse[j, i] * right[i]
        entering, _ = most_violated(vertex[:dims], vertex[dims], slopes, offsets, cuts, low, high, at_least)
        if entering < 0:
            break
        row_normal(entering, slopes, dims, normal)
        normal[dims] = 1.0 if entering >= first_cut else 0.0
        leaving = -1
        ratio = np.inf
        for i in range(size):
            coefficients[i] = 0.0
            for j in range(size):
                coefficients[i] += normal[j] * inverse[j, i]
            if coefficients[i] > 1e-11:
                candidate = multipliers[i] / coefficients[i]
                # Among equal ratios the larger pivot is the steadier one.
                if candidate < ratio or (candidate == ratio and coefficients[i] > coefficients[leaving]):
                    ratio = candidate
                    leaving = i
        if leaving < 0:
            break
        for i in range(size):
            multipliers[i] = max(multipliers[i] - ratio * coefficients[i], 0.0)
        multipliers[leaving] = ratio
        active[leaving] = entering
        pivot_value = coefficients[leaving]
        for j in range(size):
            inverse[j, leaving] /= pivot_value
            scale = inverse[j, leaving]
            for i in range(size):
                if i != leaving:
                    inverse[j, i] -= coefficients[i] * scale
    weights = np.zeros(cuts)
    share = 0.0
    for i in range(size):
        if active[i] >= first_cut:
            weights[active[i] - first_cut] = multipliers[i]
        elif active[i] == 2 * dims:
            share = multipliers[i]
    for j in range(dims):
        point[j] = min(max(vertex[j], low[j]), high[j])
    return safe_bound(weights, share, slopes, offsets, low, high)


@kernel
def invert(matrix: Float64, inverse: Float64) -> bool:
    """Gauss-Jordan with row pivoting; `matrix` is destroyed. False if it is singular."""
    size = matrix.shape[0]
    inverse[:, :] = 0.0
    for i in range(size):
        inverse[i, i] = 1.0
    for column in range(size):
        best = column
        for i in range(column + 1, size):
            if abs(matrix[i, column]) > abs(matrix[best, column]):
                best = i
        if abs(matrix[best, column]) < 1e-14:
            return False
        if best != column:
            for j in range(size):
                matrix[column, j], matrix[best, j] = matrix[best, j], matrix[column, j]
                inverse[column, j], inverse[best, j] = inverse[best, j], inverse[column, j]
        scale = 1.0 / matrix[column, column]
        for j in range(size):
            matrix[column, j] *= scale
            inverse[column, j] *= scale
        for i in range(size):
            factor = matrix[i, column]
            if i != column and factor != 0.0:
                for j in range(size):
                    matrix[i, j] -= factor * matrix[column, j]
                    inverse[i, j] -= factor * inverse[column, j]
    return True


@kernel
def project_below_level(
    slopes: Float64,
    offsets: Float64,
    cuts: int,
    low: Float64,
    high: Float64,
    at_least: bool,
    level: float,
    point: Float64,
) -> bool:
    """Move `point` to the nearest point of the box at which every cut is at most `level`.

    Rows are numbered as in `model_minimum`, without t: a cut reads -g_i.x >= c_i - level. Returns False where
    rounding or an empty set stops the method; `point` is then anywhere and the caller looks elsewhere.
    """
    dims = low.size
    active = np.empty(dims, np.int64)
    duals = np.zeros(dims + 1)
    basis = np.zeros((dims, dims))  # orthonormal directions of the active normals, one a row
    upper = np.zeros((dims, dims))
    count = 0
    normal = np.empty(dims)
    along = np.empty(dims)
    step = np.empty(dims)
    for _ in range(20 * dims + 40):
        entering, worst = most_violated(point, level, slopes, offsets, cuts, low, high, at_least)
        if entering < 0:
            return True
        for i in range(count):
            if active[i] == entering:
                return False
        row_normal(entering, slopes, dims, normal)
        dual = 0.0
        while True:
            # Split the normal into its part along the active normals and the free rest.
            for j in range(dims):
                step[j] = normal[j]
            for i in range(count):
                along[i] = 0.0
                for j in range(dims):
                    along[i] += basis[i, j] * step[j]
                for j in range(dims):
                    step[j] -= along[i] * basis[i, j]
            for i in range(count - 1, -1, -1):
                for k in range(i + 1, count):
                    along[i] -= upper[i, k] * along[k]
                along[i] /= upper[i, i]
            free = 0.0
            scale = 0.0
            for j in range(dims):
                free += step[j] * step[j]
                scale += normal[j] * normal[j]
            partial = np.inf
            dropping = -1
            for i in range(count):
                if along[i] > 1e-12 and duals[i] / along[i] < partial:
                    partial = duals[i] / along[i]
                    dropping = i
            full = worst / free if count < dims and free > 1e-18 * scale else np.inf
            length = min(partial, full)
            if length == np.inf:
                return False
            for i in range(count):
                duals[i] = max(duals[i] - length * along[i], 0.0)
            dual += length
            if full < np.inf:
                for j in range(dims):
                    point[j] += length * step[j]
                worst -= length * free
            if full <= partial:
                active[count] = entering
                duals[count] = dual
                count += 1
                if not append_direction(normal, basis, upper, count - 1):
                    return False
                break
            for i in range(dropping, count - 1):
                active[i] = active[i + 1]
                duals[i] = duals[i + 1]
            count -= 1
            # Rebuild the directions after the one dropped: at most d of them, in d dimensions.
            for i in range(count):
                row_normal(active[i], slopes, dims, along)
                if not append_direction(along, basis, upper, i):
                    return False
    return False


@kernel
def most_violated(
    point: Float64,
    level: float,
    slopes: Float64,
    offsets: Float64,
    cuts: int,
    low: Float64,
    high: Float64,
    at_least: bool,
) -> tuple[int, float]:
    """Return the row that a point violates most, numbered as in `model_minimum`, and by how much.

    A cut is violated where it is above `level`. Without a violation beyond `TOLERANCE` the row is -1.
    """
    dims = low.size
    worst = TOLERANCE
    row = -1
    for j in range(dims):
        if low[j] - point[j] > worst:
            worst = low[j] - point[j]
            row = 2 * j
        if point[j] - high[j] > worst:
            worst = point[j] - high[j]
            row = 2 * j + 1
    if at_least:
        missing = 1.0
        for j in range(dims):
            missing -= point[j]
        if missing > worst:
            worst = missing
            row = 2 * dims
    for i in range(cuts):
        excess = offsets[i] - level
        for j in range(dims):
            excess += slopes[i, j] * point[j]
        if excess > worst:
            worst = excess
            row = 2 * dims + 1 + i
    return row, worst


@kernel
def row_normal(row: int, slopes: Float64, dims: int, normal: Float64) -> None:
    """Write the normal of a row in x, numbered as in `model_minimum`, into the first `dims` entries."""
    normal[:dims] = 0.0
    if row > 2 * dims:
        for j in range(dims):
            normal[j] = -slopes[row - 2 * dims - 1, j]
    elif row == 2 * dims:
        normal[:dims] = 1.0
    else:
        normal[row // 2] = 1.0 if row % 2 == 0 else -1.0


@kernel
def append_direction(normal: Float64, basis: Float64, upper: Float64, index: int) -> bool:
    """Gram-Schmidt: add a normal as direction number `index`; False if it depends on the earlier ones."""
    dims = normal.size
    scale = 0.0
    for j in range(dims):
        basis[index, j] = normal[j]
        scale += normal[j] * normal[j]
    for i in range(index):
        inner = 0.0
        for j in range(dims):
            inner += basis[i, j] * basis[index, j]
        upper[i, index] = inner
        for j in range(dims):
            basis[index, j] -= inner * basis[i, j]
    length = 0.0
    for j in range(dims):
        length += basis[index, j] * basis[index, j]
    if not length > 1e-20 * scale:
        return False
    length = np.sqrt(length)
    upper[index, index] = length
    for j in range(dims):
        basis[index, j] /= length
    return True
