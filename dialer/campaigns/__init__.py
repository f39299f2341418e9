"""What the engine decides about a campaign: its dates and its message."""
