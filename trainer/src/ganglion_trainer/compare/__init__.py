"""`compare`: all models on the same splits, with the same weights and the same search."""
