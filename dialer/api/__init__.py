"""HTTP: the first-generation API, health, and the application that holds all routes."""
