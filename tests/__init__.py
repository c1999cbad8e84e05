"""Tests of the house: rules, laws, real servers."""
