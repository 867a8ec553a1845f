"""Tables in files, read in batches: a reference is fitted to them, or they are compared with one."""
