"""Static allocation: how to split one order over the quotes that the venues show right now.

`allocate` finds the split of lowest cost, exactly, for any number of shares; `allocate_many` does the same
for a stack of books in one compiled loop. The cost and the two sets of splits that can be minimised over are
told in docs/allocation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, cast, get_args

import msgspec
import numba
import numpy as np
import numpy.typing as npt

from venuewise._jit import COMPILED
from venuewise.allocation import entry
from venuewise.allocation.cost import CostModel, Quotes, complain, to_floats, to_number, to_order, to_shares
from venuewise.allocation.optimum import EXACT_FILL, FREE, GREEDY_EXACT_FILL, GREEDY_FREE
from venuewise.allocation.search import earlier_search, exhaustive_search
from venuewise.allocation.split import BUY, SELL, Float64, Int64, split_cost, taken_by_level
from venuewise.errors import ConfigError

Method = Literal["exact", "greedy", "brute_force", "exhaustive"]
Fill = Literal["exact_fill", "free"]

_INT64: Final = np.dtype(np.int64)
_FLOAT64: Final = np.dtype(np.float64)
"""The dtypes themselves: numpy takes them faster than the types."""
_PROBLEMS: Final = {
    ("exact", "exact_fill"): EXACT_FILL,
    ("exact", "free"): FREE,
    ("greedy", "exact_fill"): GREEDY_EXACT_FILL,
    ("greedy", "free"): GREEDY_FREE,
}
Number = TypeVar("Number", np.int64, np.float64)

_SEARCHES: Final = (("brute_force", "exact_fill"), ("exhaustive", "exact_fill"), ("exhaustive", "free"))


class Allocation(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A split of one order.

    Attributes
    ----------
    shares : ndarray of int64, shape (K,)
        Shares to send to each venue.
    taken : ndarray of int64, shape (K,) or (K, L), as the quotes had it
        Shares that execute at each level; what a venue is sent beyond that rests there.
    cost : float
        Dollars by the cost model, lower is better on both sides.
    cash : float
        Dollars paid (buy) or received (sell) for the executed shares, fees and rebates of resting shares
        included.
    executed, underfill, overfill : int
        Shares that execute; of the order left open; executed beyond the order.
    gap : float
        Dollars by which the cost may miss the optimum: 0 for a proven one, NaN for the methods that prove
        nothing (all but "exact").
    """

    shares: Int64
    taken: Int64
    cost: float
    cash: float
    executed: int
    underfill: int
    overfill: int
    gap: float


class Allocations(msgspec.Struct, frozen=True, eq=False):
    """Splits of n orders; the fields of `Allocation`, one row each.

    Attributes
    ----------
    shares : ndarray of int64, shape (n, K)
    cost, cash, gap : ndarray of float64, shape (n,)
    executed, underfill, overfill : ndarray of int64, shape (n,)
    """

    shares: Int64
    cost: Float64
    cash: Float64
    executed: Int64
    underfill: Int64
    overfill: Int64
    gap: Float64


def _compile_then_split(*arguments: object) -> tuple[int, int, float, float, int, float]:
    """Make `allocate_book` ready for one level and for several, and for nothing else, at its first call.

    From then on numba itself tells, at no extra cost, arrays that fit from those that want conversion: it
    raises TypeError rather than compile for another type.
    """
    global _split  # noqa: PLW0603
    dispatcher = cast(Any, entry.allocate_book)
    f, i = numba.float64, numba.int64
    for book in (1, 2):
        prices, sizes = numba.types.Array(f, book, "C"), numba.types.Array(i, book, "C")
        dispatcher.compile((i, prices, sizes, f[::1], f[::1], f, f, f, f, i, f, i[::1], sizes))
    dispatcher.disable_compile()
    _split = dispatcher
    return cast(tuple[int, int, float, float, int, float], dispatcher(*arguments))


_split: Callable[..., tuple[int, int, float, float, int, float]] = (
    _compile_then_split if COMPILED else entry.allocate_book
)


def _at_once(values: object, dtype: np.dtype[Any], venues: int = 0) -> npt.NDArray[Any]:
    """Convert a list of numbers, or one number for each of the venues, in one go.

    What is neither raises: the slower conversion (`Quotes.of`) then takes it, or tells what is wrong with it.
    """
    if venues > 0 and (type(values) is float or type(values) is int):
        same = np.empty(venues, dtype)
        same.fill(values)
        return same
    array = np.asarray(values)
    if array.dtype is dtype and array.flags.carray:
        return array
    if array.dtype.kind != "i" and (array.dtype.kind != "f" or dtype is _INT64):
        raise TypeError
    return np.require(array, dtype, ("C", "A", "W"))


def allocate(
    order_size: int,
    *,
    ask: npt.ArrayLike | None = None,
    ask_size: npt.ArrayLike | None = None,
    bid: npt.ArrayLike | None = None,
    bid_size: npt.ArrayLike | None = None,
    fee: npt.ArrayLike,
    rebate: npt.ArrayLike,
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
    mid: float | None = None,
    method: Method = "exact",
    fill: Fill = "exact_fill",
    step: int = 1,
) -> Allocation:
    """Split an order over venues at the lowest cost.

    Give `ask` and `ask_size` to buy, `bid` and `bid_size` to sell.

    Parameters
    ----------
    order_size : int
        Shares of the order.
    ask, ask_size : array_like, shape (K,) or (K, L)
        Dollars and shares of the K venues' asks, at L levels from the best. A level of size 0 or price NaN is
        absent.
    bid, bid_size : array_like, shape (K,) or (K, L)
        The same for bids.
    fee, rebate : array_like, shape (K,), or float
        Dollars a share that executes (taker fee) and that rests (maker rebate); either may be negative.
    lambda_over, lambda_under, theta_queue : float
        Penalties in dollars a share; see `CostModel`.
    mid : float, optional
        Reference price in dollars that cost is measured against. Without it cost counts prices in full
        (m = 0).
    method : {"exact", "greedy", "brute_force", "exhaustive"}
        "exact" proves the optimum. "greedy" takes levels by price and fee and never rests. "brute_force" is
        the search of earlier routers (nothing rests, a grid of `step` shares), "exhaustive" tries every split
        of the feasible set on that grid.
    fill : {"exact_fill", "free"}
        Send exactly the order, or anything from 0 to `order_size` to each venue.
    step : int
        Grid of "brute_force" and "exhaustive" in shares.

    Returns
    -------
    Allocation

    Raises
    ------
    ConfigError
        If the book or a parameter makes no sense, or the search would not end in reasonable time.

    Notes
    -----
    Venues that are equally good are used in their order. Costs no more than 1e-9 dollars apart are taken as
    equal.

    Examples
    --------
    >>> a = allocate(1000, ask=[100.01, 100.00, 100.02], ask_size=[400, 300, 800],
    ...              fee=0.003, rebate=0.002, lambda_over=0.4, lambda_under=0.6, theta_queue=0.3, mid=99.995)
    >>> a.shares
    array([400, 300, 300])
    >>> round(a.cost, 6), round(a.cash, 6), a.underfill
    (18.0, 100013.0, 0)
    """
    price, size, sign = (ask, ask_size, BUY) if bid is bid_size is None else (bid, bid_size, SELL)
    problem = _PROBLEMS.get((method, fill))
    if (
        problem is not None
        and COMPILED  # plain Python does not refuse arrays that want conversion
        and type(order_size) is int
        and step == 1
        and (sign == BUY or ask is ask_size is None)
    ):
        try:
            if not type(price) is type(size) is type(fee) is type(rebate) is np.ndarray:
                price, size = _at_once(price, _FLOAT64), _at_once(size, _INT64)
                fee, rebate = _at_once(fee, _FLOAT64, len(price)), _at_once(rebate, _FLOAT64, len(price))
            shares = np.empty(len(price), _INT64)
            taken = np.empty(size.shape, _INT64)
            fault, _, cost, cash, executed, gap = _split(
                order_size, price, size, fee, rebate, lambda_over, lambda_under, theta_queue,
                0.0 if mid is None else mid, problem, sign, shares, taken,
            )  # fmt: skip
        except (TypeError, ValueError, OverflowError):  # arrays, lists or numbers of another type
            fault = entry.BAD_SHAPE
        if fault == entry.FINE:
            open_shares = order_size - executed
            if open_shares > 0:
                return Allocation(shares, taken, cost, cash, executed, open_shares, 0, gap)
            return Allocation(shares, taken, cost, cash, executed, 0, -open_shares, gap)
    quotes = Quotes.of(ask, ask_size, bid, bid_size, fee, rebate)
    model = CostModel(
        to_number("lambda_over", lambda_over),
        to_number("lambda_under", lambda_under),
        to_number("theta_queue", theta_queue),
    )
    return _allocate(
        to_order(order_size), quotes, model, 0.0 if mid is None else to_number("mid", mid), method, fill, step
    )


def _allocate(
    order_size: int, quotes: Quotes, model: CostModel, mid: float, method: Method, fill: Fill, step: int
) -> Allocation:
    """Split an order whose arguments may still make no sense."""
    model.check(order_size, quotes, mid)
    _check_method(method, fill, step)
    shares = np.zeros(len(quotes.fee), np.int64)
    taken = np.empty(quotes.size.shape, np.int64)
    if (method, fill) in _PROBLEMS:
        _, _, cost, cash, executed, gap = _split(
            order_size, quotes.price, quotes.size, quotes.fee, quotes.rebate,
            model.lambda_over, model.lambda_under, model.theta_queue,
            mid, _PROBLEMS[method, fill], quotes.sign, shares, taken,
        )  # fmt: skip
    else:
        if method == "brute_force":
            shares = earlier_search(order_size, quotes, model, mid, step)
        else:
            shares = exhaustive_search(order_size, quotes, model, mid, step, free=fill == "free")
        price, size = quotes.by_level()
        cost, cash, executed = split_cost(
            order_size,
            price,
            size,
            quotes.fee,
            quotes.rebate,
            model.under,
            model.over,
            mid,
            quotes.sign,
            shares,
        )
        taken_by_level(price, size, shares, taken.reshape(size.shape))
        gap = np.nan
    return Allocation(
        shares, taken, cost, cash, executed, max(order_size - executed, 0), max(executed - order_size, 0), gap
    )


def _check_method(method: str, fill: str, step: int) -> None:
    if (method, fill) in _PROBLEMS:
        if step != 1:
            raise ConfigError(
                f"step: found {step!r}; expected 1, since method {method} splits to the single share"
            )
    elif (method, fill) in _SEARCHES:
        if not isinstance(step, int) or isinstance(step, bool) or not 1 <= step <= entry.SHARES_MAX:
            raise ConfigError(
                f"step: found {step!r}; expected a whole number of shares from 1 to {entry.SHARES_MAX}"
            )
    elif (method, fill) == ("brute_force", "free"):
        raise ConfigError(
            "fill: found free; expected exact_fill with method brute_force, or method exhaustive"
        )
    else:
        methods = ", ".join(get_args(Method))
        fills = ", ".join(get_args(Fill))
        raise ConfigError(
            f"method and fill: found {method!r}, {fill!r}; expected one of {methods}, and one of {fills}"
        )


def allocate_many(
    order_size: npt.ArrayLike,
    *,
    ask: npt.ArrayLike | None = None,
    ask_size: npt.ArrayLike | None = None,
    bid: npt.ArrayLike | None = None,
    bid_size: npt.ArrayLike | None = None,
    fee: npt.ArrayLike,
    rebate: npt.ArrayLike,
    lambda_over: float,
    lambda_under: float,
    theta_queue: float,
    mid: npt.ArrayLike | None = None,
    method: Literal["exact", "greedy"] = "exact",
    fill: Fill = "exact_fill",
) -> Allocations:
    """Split n orders, each over its own book, in one compiled loop.

    Parameters
    ----------
    order_size : array_like of int, shape (n,), or int
        Shares of each order.
    ask, ask_size, bid, bid_size : array_like, shape (n, K) or (n, K, L)
        Quotes as for `allocate`, one book a row.
    fee, rebate, lambda_over, lambda_under, theta_queue, fill
        As for `allocate`, the same for all books.
    mid : array_like of float, shape (n,), or float, optional
        Reference price of each book.
    method : {"exact", "greedy"}
        As for `allocate`.

    Returns
    -------
    Allocations

    Raises
    ------
    ConfigError
        If a book or a parameter makes no sense.

    Examples
    --------
    >>> many = allocate_many(
    ...     [300, 600], ask=[[10.0, 10.01], [10.02, 10.01]], ask_size=[[500, 500], [500, 500]],
    ...     fee=0.003, rebate=0.002, lambda_over=0.4, lambda_under=0.6, theta_queue=0.3, mid=10.0)
    >>> many.shares
    array([[300,   0],
           [100, 500]])
    """
    if (method, fill) not in _PROBLEMS:
        _check_method(method, fill, 1)
        raise ConfigError(f"method: found {method!r}; expected exact or greedy for many books")
    quotes = Quotes.of(ask, ask_size, bid, bid_size, fee, rebate, many=True)
    books, venues = quotes.price.shape[:2]
    orders = _per_book("order_size", to_shares("order_size", order_size), books)
    mids = _per_book("mid", to_floats("mid", 0.0 if mid is None else mid), books)
    shares = np.empty((books, venues), np.int64)
    money = np.empty((3, books))
    executed = np.empty(books, np.int64)
    fault, book, venue = entry.allocate_books(
        orders, quotes.price.reshape(books, venues, -1), quotes.size.reshape(books, venues, -1),
        quotes.fee, quotes.rebate, to_number("lambda_over", lambda_over),
        to_number("lambda_under", lambda_under), to_number("theta_queue", theta_queue),
        mids, _PROBLEMS[method, fill], quotes.sign, shares, money, executed,
    )  # fmt: skip
    if fault != entry.FINE:
        complain(fault, venue, book)
    open_shares = orders - executed
    return Allocations(
        shares,
        money[0],
        money[1],
        executed,
        np.maximum(open_shares, 0),
        np.maximum(-open_shares, 0),
        money[2],
    )


def _per_book(name: str, values: npt.NDArray[Number], books: int) -> npt.NDArray[Number]:
    if values.ndim == 0:
        return np.full(books, values)
    if values.shape != (books,):
        raise ConfigError(f"{name}: found shape {values.shape}; expected one number or {books}, one a book")
    return values
