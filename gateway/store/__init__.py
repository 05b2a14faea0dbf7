"""What must survive: rows that are committed together or not at all. Only this folder knows SQL."""
