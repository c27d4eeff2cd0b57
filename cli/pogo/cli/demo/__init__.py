"""The demo page, which only `pogo serve` without configuration shows."""

from pogo.cli.demo.pages import Publish, demo_pages

__all__ = ["Publish", "demo_pages"]
