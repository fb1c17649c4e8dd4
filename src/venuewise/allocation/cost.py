"""The cost of a static split, and the book that it is a cost of.

Cost is what a split loses against the reference price, plus penalties for shares left open or taken in
excess, less rebates for shares left resting: docs/allocation.md has the equation. It is in dollars, and lower
is better on both sides.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import NoReturn, SupportsIndex

import numpy as np
import numpy.typing as npt

from venuewise.allocation import entry
from venuewise.allocation.split import BUY, SELL, Float64, Int64, split_cost
from venuewise.errors import ConfigError

_FAULTS = {
    entry.BAD_ORDER: f"order_size: found shares out of range; expected 0 to {entry.SHARES_MAX}",
    entry.BAD_SHAPE: "quotes: found prices, sizes, fees and rebates of different lengths; expected one venue or more",
    entry.BAD_PRICE: "found a price that is none; expected dollars above 0, or NaN where the level is absent",
    entry.BAD_LEVELS: "found levels out of order; expected the best first, each price once",
    entry.BAD_SIZE: f"found a size out of range; expected 0 to {entry.SHARES_MAX} shares",
    entry.BAD_FEE: "found a fee that is not finite; expected dollars a share",
    entry.BAD_REBATE: "found a rebate that is not finite; expected dollars a share",
    entry.BAD_LAMBDA_OVER: "lambda_over: found a number that is not finite; expected dollars a share",
    entry.BAD_LAMBDA_UNDER: "lambda_under: found a number that is not finite; expected dollars a share",
    entry.BAD_THETA: "theta_queue: found a number that is not finite; expected dollars a share",
    entry.BAD_MID: "mid: found a number that is negative or not finite; expected dollars, 0 or more",
}
_OF_A_VENUE = (entry.BAD_PRICE, entry.BAD_LEVELS, entry.BAD_SIZE, entry.BAD_FEE, entry.BAD_REBATE)


def complain(fault: int, venue: int, book: int | None = None) -> NoReturn:
    """Raise the `ConfigError` that a fault code of an entry kernel stands for."""
    places = []
    if book is not None:
        places.append(f"book {book}")
    if fault in _OF_A_VENUE:
        places.append(f"venue {venue}")
    raise ConfigError(f"{', '.join(places)}: {_FAULTS[fault]}" if places else _FAULTS[fault])


def to_floats(name: str, values: npt.ArrayLike) -> Float64:
    """Convert to a contiguous, writeable float64 array, or say what `name` should have been."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "iuf":
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"{name}: found something else than numbers; expected numbers, rows of the same length"
        ) from None
    return np.require(array, np.float64, ("C", "A", "W"))


def to_shares(name: str, values: npt.ArrayLike) -> Int64:
    """Convert to a contiguous, writeable int64 array of whole shares; NaN counts as 0."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return np.require(values, np.int64, ("C", "A", "W"))
    numbers = to_floats(name, values)
    whole = np.where(np.isnan(numbers), 0.0, numbers)
    if not np.array_equal(whole, np.rint(whole)) or not np.all(np.abs(whole) <= entry.SHARES_MAX):
        raise ConfigError(
            f"{name}: found parts of shares, or too many; expected whole shares, {entry.SHARES_MAX} at most"
        )
    return whole.astype(np.int64)


def to_order(order_size: SupportsIndex) -> int:
    """Return the order as a plain int from 0 to `SHARES_MAX`."""
    try:
        if isinstance(order_size, bool | np.bool_):
            raise TypeError
        shares = operator.index(order_size)
    except TypeError:
        raise ConfigError(f"order_size: found {order_size!r}; expected a whole number of shares") from None
    if not 0 <= shares <= entry.SHARES_MAX:
        complain(entry.BAD_ORDER, 0)
    return shares


def to_number(name: str, value: float) -> float:
    """Return a scalar parameter as a plain float."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"{name}: found {value!r}; expected a number") from None


def per_venue(name: str, values: npt.ArrayLike, venues: int) -> Float64:
    """Return one number a venue; a single number holds for all of them."""
    array = to_floats(name, values)
    if array.ndim == 0:
        return np.full(venues, float(array))
    if array.shape != (venues,):
        raise ConfigError(f"{name}: found shape {array.shape}; expected one number or {venues}, one a venue")
    return array


@dataclass(frozen=True, slots=True)
class Quotes:
    """One side of the book of every venue, in the form that the kernels take.

    Attributes
    ----------
    price, size : ndarray, shape (..., K) or (..., K, L)
        Dollars and shares.
    fee, rebate : ndarray of float64, shape (K,)
        Dollars a share.
    sign : float
        `BUY` for asks, `SELL` for bids.
    """

    price: Float64
    size: Int64
    fee: Float64
    rebate: Float64
    sign: float

    @classmethod
    def of(
        cls,
        ask: npt.ArrayLike | None,
        ask_size: npt.ArrayLike | None,
        bid: npt.ArrayLike | None,
        bid_size: npt.ArrayLike | None,
        fee: npt.ArrayLike,
        rebate: npt.ArrayLike,
        many: bool = False,
    ) -> Quotes:
        """Convert arguments of any array-like form; with `many`, of a stack of books."""
        if bid is None and bid_size is None:
            name, sign, prices, sizes = "ask", BUY, ask, ask_size
        elif ask is None and ask_size is None:
            name, sign, prices, sizes = "bid", SELL, bid, bid_size
        else:
            raise ConfigError(
                "quotes: found asks and bids; expected ask and ask_size to buy, or bid and bid_size to sell"
            )
        if prices is None or sizes is None:
            raise ConfigError(
                "quotes: found one of two; expected ask and ask_size to buy, or bid and bid_size to sell"
            )
        price, size = to_floats(name, prices), to_shares(f"{name}_size", sizes)
        if price.shape != size.shape:
            raise ConfigError(f"{name}_size: found shape {size.shape}; expected {price.shape}, as {name} has")
        if price.ndim not in ((2, 3) if many else (1, 2)) or 0 in price.shape[int(many) :]:
            wanted = "(n, K) or (n, K, L)" if many else "(K,) or (K, L)"
            raise ConfigError(f"{name}: found shape {price.shape}; expected {wanted}, with a venue at least")
        venues = price.shape[1] if many else price.shape[0]
        return cls(price, size, per_venue("fee", fee, venues), per_venue("rebate", rebate, venues), sign)

    def by_level(self) -> tuple[Float64, Int64]:
        """Return prices and sizes of one book with shape (K, L)."""
        return self.price.reshape(len(self.fee), -1), self.size.reshape(len(self.fee), -1)


@dataclass(frozen=True, slots=True)
class CostModel:
    """The three penalties of the static cost.

    Attributes
    ----------
    lambda_over, lambda_under : float
        Dollars a share executed beyond the order, and a share of it left open.
    theta_queue : float
        Dollars a share of either kind. It only adds to both lambdas, so it is not identified: models with the
        same `over` and `under` are one and the same.
    """

    lambda_over: float
    lambda_under: float
    theta_queue: float

    @property
    def over(self) -> float:
        """Dollars a share executed beyond the order: lambda_over + theta_queue."""
        return self.lambda_over + self.theta_queue

    @property
    def under(self) -> float:
        """Dollars a share left open: lambda_under + theta_queue."""
        return self.lambda_under + self.theta_queue

    def cost(
        self,
        shares: npt.ArrayLike,
        order_size: int,
        *,
        ask: npt.ArrayLike | None = None,
        ask_size: npt.ArrayLike | None = None,
        bid: npt.ArrayLike | None = None,
        bid_size: npt.ArrayLike | None = None,
        fee: npt.ArrayLike,
        rebate: npt.ArrayLike,
        mid: float | None = None,
    ) -> float:
        """Evaluate the cost of any split.

        Parameters
        ----------
        shares : array_like of int, shape (K,)
            Shares sent to each venue, 0 or more.
        order_size : int
            Shares of the order.
        ask, ask_size, bid, bid_size, fee, rebate, mid
            The book and the reference price, as `venuewise.allocate` takes them.

        Returns
        -------
        float
            Dollars, lower is better. For the shares of an `Allocation` it is the cost that the allocation
            reports, bit for bit.

        Raises
        ------
        ConfigError
            If the split, the book or a parameter makes no sense.

        Examples
        --------
        >>> model = CostModel(lambda_over=0.4, lambda_under=0.6, theta_queue=0.3)
        >>> book = dict(ask=[100.01, 100.02], ask_size=[300, 500], fee=0.003, rebate=0.002, mid=100.0)
        >>> round(model.cost([300, 100], 500, **book), 6)  # 300 x 1.3 cents, 100 x 2.3 cents, 100 left open
        96.2
        """
        quotes = Quotes.of(ask, ask_size, bid, bid_size, fee, rebate)
        split = to_shares("shares", shares)
        if split.shape != quotes.fee.shape or np.any(split < 0):
            raise ConfigError(
                f"shares: found {split.tolist()}; expected {len(quotes.fee)} numbers, 0 or more, one a venue"
            )
        order = to_order(order_size)
        reference = 0.0 if mid is None else to_number("mid", mid)
        self.check(order, quotes, reference)
        cost, _, _ = split_cost(
            order, *quotes.by_level(), quotes.fee, quotes.rebate,
            self.under, self.over, reference, quotes.sign, split,
        )  # fmt: skip
        return cost

    def check(self, order_size: int, quotes: Quotes, mid: float) -> None:
        """Raise `ConfigError` unless the penalties, the order and the quotes make sense."""
        fault = entry.check_model(order_size, self.lambda_over, self.lambda_under, self.theta_queue, mid)
        venue = 0
        if fault == entry.FINE:
            fault, venue = entry.check_book(*quotes.by_level(), quotes.fee, quotes.rebate, quotes.sign)
        if fault != entry.FINE:
            complain(fault, venue)
