"""HTML reports of drifted windows, made by a process of their own; importing this does not import Evidently."""

from monitor.reports.paths import path_of
from monitor.reports.process import ReportProcess

__all__ = ["ReportProcess", "path_of"]
