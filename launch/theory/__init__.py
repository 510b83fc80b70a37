"""What theory says of a topology, as commands give it: figures as JSON documents, tables, and what plots need."""
