"""Signing, verifying and sealing, as pure functions over bytes. It imports nothing of `gateway` but `model`."""
