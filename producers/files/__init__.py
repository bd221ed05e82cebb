"""Files of users: CSV of any delimiter and encoding, Parquet, or either behind a DVC pointer, read in batches of typed columns.

``config.spec_data.DataFile`` says how a file is read (``tidemark init`` finds it out and keeps it as ``data`` of the spec):

    for batch in read_batches(spec.data, {name: column.type for name, column in spec.columns.items()}, settings.home):
        batch.first_row, batch.times_ms, batch.frame

Memory is bounded by the batch, not by the file. A value that does not fit is an ``UsageError`` with its line, column and text.
"""

from producers.files.read import Batch, column_names, read_batches

__all__ = ["Batch", "column_names", "read_batches"]
