"""SQL, one module per aggregate, each statement a function named for what it does.

Rows are locked in one order everywhere, so that no two transactions wait for each other: campaign, attempts by id,
calls by id, counters by name.
"""
