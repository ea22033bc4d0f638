"""Records: frozen dataclasses that use the standard library only, shared by host and child."""
