"""Alembic migrations. `dialer db upgrade` runs them; `dialer.schema` is the code's way to them."""
