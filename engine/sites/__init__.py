"""Siting: candidates, objectives and solvers with proven bounds."""
