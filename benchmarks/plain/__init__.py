"""The reference of B1: what somebody would write with Celery, httpx and SQLModel on a first afternoon."""
