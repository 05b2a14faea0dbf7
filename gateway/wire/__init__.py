"""The way out to the partners: admission, tokens, signatures, the one client socket, and what was observed on it."""
