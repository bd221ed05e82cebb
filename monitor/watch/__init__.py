"""``tidemark watch``: the streams, their last windows and the alerts, live in a terminal."""
