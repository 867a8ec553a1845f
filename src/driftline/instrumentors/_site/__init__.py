"""The folder that `driftline run` puts on the path of Python, with nothing in it but a ``sitecustomize``."""
