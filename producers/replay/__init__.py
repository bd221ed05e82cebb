"""The replay producer: history goes through the very path that live predictions take, in a run of its own."""

from producers.replay.options import ReplayOptions
from producers.replay.run import Summary, replay, replays

__all__ = ["ReplayOptions", "Summary", "replay", "replays"]
