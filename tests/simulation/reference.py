"""The matching rules once more, in plain Python with dictionaries, written for reading and not for speed.

It shares no code with the engine: books are dictionaries from price to size, what we took is a dictionary from
price to shares, orders on their way are a list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from venuewise.data.events import ACTION_CLEAR, ACTION_TRADE, UNDEFINED_PRICE, Events
from venuewise.simulation.state import Frictions

Levels = list[tuple[int, int]]
HOUR = 3600 * 10**9


@dataclass
class Shop:
    """One venue: what it shows, when it last spoke, what we took from it."""

    take: Levels = field(default_factory=list)
    far: int | None = None
    spoke: int = 0
    open: bool = False
    taken: dict[int, int] = field(default_factory=dict)
    pending: int = 0


@dataclass
class Reference:
    """Work an order; `decide` gets the offers of each venue, the reference price, and the order's state."""

    events: Events
    side: str
    fee: list[int]
    frictions: Frictions
    luck: Callable[[int, int], float]
    max_age: int | None = None

    def run(
        self,
        quantity: int,
        start: int,
        end: int,
        depth: int,
        decide: Callable[..., dict[int, tuple[int, int]]],
    ) -> dict[str, object]:
        self.sign = 1 if self.side == "buy" else -1
        self.shops = [Shop() for _ in self.fee]
        self.fills: list[tuple[int, int, int, int]] = []
        self.open, self.flight = quantity, []
        self.arrival: float | None = None
        ev = self.events
        far_sz = (ev.bid_sz if self.sign > 0 else ev.ask_sz)[:, 0]
        one_sided = not any(size > 0 and a != ACTION_CLEAR for size, a in zip(far_sz, ev.action, strict=True))
        times = ev.ts.tolist()
        printed = 0
        for row, now in enumerate(times):
            if now > end:
                break
            if now >= start and self.arrival is not None:
                self.deliver(now)
            if row and now - times[row - 1] > HOUR:
                self.cancel()
                self.shops = [Shop() for _ in self.fee]
            self.heard = now
            self.update(row)
            if now >= start and ev.action[row] == ACTION_TRADE:
                printed += int(ev.size[row])
            if now < start or (row + 1 < len(times) and times[row + 1] == now):
                continue
            best, far = self.best(now)
            if self.arrival is None:
                self.arrival = self.reference(best, far, one_sided)
                if self.arrival is None:
                    continue
            if self.open == 0:
                continue
            offers = [self.offers(shop, depth, now) for shop in self.shops]
            wanted = decide(
                offers=offers,
                reference=self.reference(best, far, one_sided),
                open=self.open,
                quantity=quantity,
                now=now,
                printed=printed,
            )
            for venue in sorted(wanted):
                shares, limit = wanted[venue]
                shares = min(shares, self.open)
                if shares <= 0:
                    continue
                if self.frictions.latency_ms == 0:
                    self.open -= self.execute(venue, shares, limit, now, now)
                else:
                    self.open -= shares
                    self.shops[venue].pending += shares
                    self.flight.append(
                        (now + round(self.frictions.latency_ms * 1e6), venue, shares, limit, now)
                    )
        self.deliver(end + 1)
        self.cancel()
        if self.arrival is not None and end - self.heard <= HOUR:
            self.sweep(end)
        return {
            "open": self.open,
            "filled": sum(fill[2] for fill in self.fills),
            "notional": sum(fill[1] * fill[2] for fill in self.fills),
            "fees": sum(fill[3] for fill in self.fills),
            "arrival": self.arrival,
        }

    def cancel(self) -> None:
        for _, venue, shares, _, _ in self.flight:
            self.open += shares
            self.shops[venue].pending -= shares
        self.flight = []

    def update(self, row: int) -> None:
        ev, shop = self.events, self.shops[int(self.events.venue[row])]
        if ev.action[row] == ACTION_CLEAR:
            shop.open, shop.taken = False, {}
            return
        px, sz = (ev.ask_px, ev.ask_sz) if self.sign > 0 else (ev.bid_px, ev.bid_sz)
        far = (ev.bid_px if self.sign > 0 else ev.ask_px)[row, 0]
        new = [(int(p), int(s)) for p, s in zip(px[row], sz[row], strict=True) if s > 0]
        shown = dict(shop.take) if shop.open else {}
        kept = {}
        for price, size in new:
            taken = shop.taken.get(price, 0)
            if price not in shown or taken == 0:
                continue
            if shown[price] == size:
                kept[price] = taken
            elif self.frictions.refill == "added":
                kept[price] = min(taken, size)
        shop.take, shop.taken, shop.open = new, kept, True
        far_size = (ev.bid_sz if self.sign > 0 else ev.ask_sz)[row, 0]
        shop.far = None if far == UNDEFINED_PRICE or far_size == 0 else int(far)
        shop.spoke = int(ev.ts[row])

    def present(self, shop: Shop, now: int) -> bool:
        if not shop.open or (self.max_age is not None and now - shop.spoke > self.max_age):
            return False
        return not (shop.take and shop.far is not None and self.sign * (shop.take[0][0] - shop.far) <= 0)

    def best(self, now: int) -> tuple[int | None, int | None]:
        here = [shop for shop in self.shops if self.present(shop, now)]
        takes = [self.sign * shop.take[0][0] for shop in here if shop.take]
        fars = [self.sign * shop.far for shop in here if shop.far is not None]
        return (
            self.sign * min(takes) if takes else None,
            self.sign * max(fars) if fars else None,
        )

    @staticmethod
    def reference(best: int | None, far: int | None, one_sided: bool) -> float | None:
        """Return the mid, None where a side is missing; what stands to be taken in data of one side only."""
        if one_sided:
            return None if best is None else float(best)
        return None if best is None or far is None else (best + far) / 2

    def offers(self, shop: Shop, depth: int, now: int) -> Levels:
        if not self.present(shop, now):
            return []
        on_the_way, result = shop.pending, []
        for price, size in shop.take[:depth]:
            left = max(int(size * self.frictions.queue_priority) - shop.taken.get(price, 0), 0)
            used = min(left, on_the_way)
            on_the_way -= used
            result.append((price, left - used))
        return result

    def draw(self, moment: int, venue: int) -> tuple[float, float]:
        fr = self.frictions
        unlucky = fr.adverse_probability > 0 and self.luck(moment, venue) < fr.adverse_probability
        bps = fr.slippage_bps * 1e-4 + (fr.adverse_move_bps * 1e-4 if unlucky else 0)
        return (fr.adverse_left if unlucky else 1.0), bps

    def execute(self, venue: int, shares: int, limit: int, decided: int, ts: int) -> int:
        shop, fr, got = self.shops[venue], self.frictions, 0
        if not self.present(shop, ts) or ts - self.heard > HOUR:
            return 0
        left, bps = self.draw(decided, venue)
        for price, size in shop.take:
            if got == shares or self.sign * price > self.sign * limit:
                break
            size = int(int(size * fr.queue_priority) * left)
            part = min(size - shop.taken.get(price, 0), shares - got)
            if part > 0:
                self.fill(venue, price, part, bps, ts)
                got += part
        return got

    def fill(self, venue: int, price: int, shares: int, bps: float, ts: int) -> None:
        paid = price + self.sign * int(np.rint(price * bps))
        self.fills.append((ts, paid, shares, self.fee[venue] * shares))
        taken = self.shops[venue].taken
        taken[price] = taken.get(price, 0) + shares

    def deliver(self, now: int) -> None:
        while self.flight and self.flight[0][0] < now:
            ts, venue, shares, limit, decided = self.flight.pop(0)
            self.shops[venue].pending -= shares
            self.open += shares - self.execute(venue, shares, limit, decided, ts)

    def sweep(self, end: int) -> None:
        ladder = []
        for venue, shop in enumerate(self.shops):
            if not self.present(shop, end):
                continue
            left, bps = self.draw(shop.spoke, venue)
            for price, size in shop.take:
                offered = int(int(size * self.frictions.queue_priority) * left) - shop.taken.get(price, 0)
                ladder.append((self.sign * price, venue, price, offered, bps))
        for _, venue, price, offered, bps in sorted(ladder):
            part = min(offered, self.open)
            if part > 0:
                self.fill(venue, price, part, bps, end)
                self.open -= part
