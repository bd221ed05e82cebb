"""The page server: the inbox that stands in for Slack, and the reports that messages link to."""
