"""The page in the browser that draws what one types."""

from tinydiff.apps.serve.page import page, serve

__all__ = ["page", "serve"]
