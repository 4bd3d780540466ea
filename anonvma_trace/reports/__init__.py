"""Reports: result tables in, documents out."""
