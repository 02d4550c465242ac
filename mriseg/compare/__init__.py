"""Measurements and allocation to a between-arm result; power and repeatability."""
