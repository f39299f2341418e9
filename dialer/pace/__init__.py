"""Pace: how many calls a minute a campaign, an account and a provider may make."""
