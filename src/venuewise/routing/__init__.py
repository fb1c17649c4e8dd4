"""The live routers: what-if decisions, parent orders, the venues that play themselves, and both in lock step.

What decides here is the strategies of a backtest; messages come in and go out as `kafka.processing` describes, with or
without a broker.
"""
