"""The Evidently workspace: a snapshot of each judged window, for the pages of ``evidently ui``. Importing this imports no Evidently."""
