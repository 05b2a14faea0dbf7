"""What happens to an operation between the platform's call and its end: the engine, the one door for facts, inquiry."""
