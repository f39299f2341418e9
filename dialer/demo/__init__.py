"""The demonstration: who is called, and whether everything added up."""
