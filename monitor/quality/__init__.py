"""What a window's data are like, column by column and as a table, in the terms of Evidently's data summary."""

from monitor.quality.describe import ReferenceQuality, describe_reference, describe_window

__all__ = ["ReferenceQuality", "describe_reference", "describe_window"]
