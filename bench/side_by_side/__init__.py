"""Ours and what people use instead, on one server, in turns."""
