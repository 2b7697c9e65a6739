"""The numerics: plain arrays in, plain arrays out.

Nothing here knows of networks, files or devices' absence. Importing a backend
(`nbconv.kernels.cpu`) compiles nothing; each kernel is compiled at its first call and kept in the
folder that `nbconv.kernels.compilation` chooses.
"""
