"""Views of a session: a Report is composed into a Document, and thin renderers write it out."""
