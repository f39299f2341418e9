"""Verifications: a code is brought to a number, one channel after the other, and told back."""
