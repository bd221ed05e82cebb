"""``tidemark wrap``: a BentoML service emits its predictions without a change to its code."""
