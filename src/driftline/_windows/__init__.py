"""The counts of binned rows: in the panes of a ring, and since the process started."""
