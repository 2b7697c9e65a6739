main=None
