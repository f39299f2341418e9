"""Telephony providers: the recipe in `base`, what is asked besides in `asking`, one file per kind."""
