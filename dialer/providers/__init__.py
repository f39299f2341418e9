"""Telephony providers: the recipe in `base`, one file per kind."""
