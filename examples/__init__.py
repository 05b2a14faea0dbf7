"""Programs that use lendgate as its users do."""
