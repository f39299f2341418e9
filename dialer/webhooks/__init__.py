"""Outgoing webhooks: an account's apps are told of what happened. `docs/webhooks.md` describes what they get.

What providers send to us is heard in `dialer/api/webhooks.py`.
"""
