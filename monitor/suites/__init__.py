"""The tests that a spec puts each window through; importing this does not import Evidently."""

from monitor.suites.judge import judge_quality

__all__ = ["judge_quality"]
