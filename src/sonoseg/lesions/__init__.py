"""Lesions measured: one entry a lesion."""
