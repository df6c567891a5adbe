"""Policies: documents, what they must look like, and what allows more than before."""
