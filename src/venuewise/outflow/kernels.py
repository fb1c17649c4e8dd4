"""What an order joining a queue would have seen pass in front of it, event by event.

A window starts with the best quote of one venue: price p, Q shares displayed, all of them ahead of us. Trades
at p leave from the front. Of other shares that leave p, a part is ahead of us in proportion to the place that
we hold, ahead / displayed: MBP data do not say which order was cancelled. Shares that join stand behind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from venuewise._jit import kernel
from venuewise.data.events import (
    ACTION_CLEAR,
    ACTION_TRADE,
    SIDE_ASK,
    SIDE_BID,
    UNDEFINED_PRICE,
)

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]

INVALID, STAYED, AWAY, THROUGH = 0, 1, 2, 3
"""How a window ended for our price: not measured, still best, behind a better quote, passed through."""


class VenueRows(NamedTuple):
    """One venue's rows in the order of `ts`: columns as in `venuewise.data.events.Events`, and the best of both sides.

    `own_px` and `own_sz` (rows, levels) are of the side that we rest on (bids for a buy), `other_px` (rows,) are best
    prices of the opposite side.
    """

    ts: Int64
    ts_event: Int64
    action: UInt8
    side: UInt8
    price: Int64
    size: Int64
    own_px: Int64
    own_sz: Int64
    other_px: Int64


class Windows(NamedTuple):
    """What is measured, one entry for each window: shares, the price of the quote (1e-9 dollars), how it ended."""

    queue: Float64
    quote: Int64
    executed: Float64
    cancelled: Float64
    behind: Float64
    end: UInt8


@kernel
def displayed_at(price: int, prices: Int64, sizes: Int64, sign: int) -> int:
    """Shares displayed at a price of one side of a book, -1 if the levels held do not reach that far."""
    levels = prices.size
    for level in range(levels):
        if prices[level] == price:
            return int(sizes[level])
        if prices[level] == UNDEFINED_PRICE or sign * (price - prices[level]) > 0:
            return 0
    return -1


@kernel
def measure_windows(
    starts: Int64, horizon: int, sell: bool, quote_falls: bool, venue_rows: VenueRows, windows: Windows
) -> None:
    """Measure the outflow of one venue in the windows (start, start + horizon].

    `quote_falls`: a best quote worse than ours fills us; otherwise a trade through our price or an opposite
    quote at it must prove that. A window without a quote or with a cleared book stays INVALID.
    """
    ts, ts_event, action, side, price, size, own_px, own_sz, other_px = venue_rows
    queue, quote, executed, cancelled, behind, end = windows
    rows = ts.size
    sign = -1 if sell else 1
    aggressor = SIDE_BID if sell else SIDE_ASK
    first = 0
    for w in range(starts.size):
        end[w] = INVALID
        while first < rows and ts[first] <= starts[w]:
            first += 1
        # A trade row shows the book before the trade, and the row after it the book without those shares.
        last = first - 1
        if last < 0 or own_px[last, 0] == UNDEFINED_PRICE or own_sz[last, 0] <= 0:
            continue
        at = own_px[last, 0]
        shown = own_sz[last, 0]
        ahead = float(shown)
        left = 0.0
        gone = 0.0
        back = 0.0
        traded = 0
        traded_at = np.int64(0)
        passed = False
        broken = False
        row = first
        while row < rows and ts[row] <= starts[w] + horizon:
            if action[row] == ACTION_TRADE:
                if side[row] == aggressor:
                    if price[row] == at:
                        left += size[row]
                        ahead = max(ahead - size[row], 0.0)
                        if traded_at != ts_event[row]:
                            traded = 0
                        traded += size[row]
                        traded_at = ts_event[row]
                    elif sign * (at - price[row]) > 0:
                        passed = True
                row += 1
                continue
            if action[row] == ACTION_CLEAR:
                broken = True
                break
            now = displayed_at(at, own_px[row], own_sz[row], sign)
            if now >= 0:
                drop = shown - now
                if drop > 0:
                    if traded_at == ts_event[row]:
                        taken = min(drop, traded)
                        traded -= taken
                        drop -= taken
                        shown -= taken
                    if drop > 0 and shown > 0:
                        share = min(ahead / shown, 1.0) * drop
                        gone += share
                        back += drop - share
                        ahead -= share
                shown = now
            best = own_px[row, 0]
            if quote_falls and (best == UNDEFINED_PRICE or sign * (at - best) > 0):
                passed = True
            if other_px[row] != UNDEFINED_PRICE and sign * (at - other_px[row]) >= 0:
                passed = True
            row += 1
        if broken:
            continue
        queue[w] = float(own_sz[last, 0])
        quote[w] = at
        executed[w] = left
        cancelled[w] = gone
        behind[w] = back
        best = own_px[max(row - 1, 0), 0]
        if passed:
            end[w] = THROUGH
        elif best != UNDEFINED_PRICE and sign * (best - at) > 0:
            end[w] = AWAY
        else:
            end[w] = STAYED
