"""Files on their way into lists: found, understood, read record by record, and written batch by batch."""

from dialer.imports.run import cancel, claim, run_import
from dialer.imports.start import start_import

__all__ = ["cancel", "claim", "run_import", "start_import"]
