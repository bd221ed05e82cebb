"""Avro bytes to columns, a batch at a time; bad records are singled out and never touch their neighbours."""
