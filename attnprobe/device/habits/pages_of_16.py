"""The key cache is paged, 16 tokens a page."""
