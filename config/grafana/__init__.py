"""Grafana: dashboards built as code, and what provisions them. Grafana reads the files; nothing of Tidemark imports this at run time."""
