"""Verdicts on windows, made in processes of their own: a second processor for the stream, and a time limit for what hangs."""

from monitor.evaluation.process import Evaluator

__all__ = ["Evaluator"]
