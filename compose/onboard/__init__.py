"""The commands that attach a model: ``tidemark init`` and ``tidemark check``. Here, because they look at every part."""
