"""Smart order routing on the Cont & Kukanov order-placement model."""

__version__ = "0.1.0"
