"""What the gateway talks about: values without I/O. The ground floor; it imports nothing of `gateway`."""
