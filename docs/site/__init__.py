"""The site: how Sphinx is set up, and the pages that are only there."""
