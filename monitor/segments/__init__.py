"""Segments: groups of rows by the values of a categorical feature, each judged by itself."""
