"""What the engine decides about one call: pure functions that are given `now` and touch nothing."""
