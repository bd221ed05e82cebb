"""The console: pages for a browser, without Docker. Its first is the Live page, which draws Grafana's dashboards from Prometheus."""
