"""Proposals: edits of places and streets, every cell re-scored exactly, rivals compared on equal terms."""
