"""Celery tasks and the scheduler loop: claim, call the rule, write. The rules live in `dialer`."""
