"""CSV files on their way into lists: found, understood, read record by record, and written batch by batch."""

from dialer.imports.run import claim, run_import, start_import

__all__ = ["claim", "run_import", "start_import"]
