"""Evidently's drift statistics with the reference side computed once. Held equal to Evidently's own by ``tests/unit/test_statistics_*``."""
