"""How a plugin says what its institution can do: verbs, terms, the adapter class, and how plugins are found."""
