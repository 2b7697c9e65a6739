"""Make digits.npz from scikit-learn's copy of the UCI digits: python nbconv/data/make_digits.py

Needs scikit-learn. The images' 17 levels become 0 to 255. The images are shuffled once, so that
each split (1,197 for training, 300 for validation, 300 for testing) has images of all writers.
Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998, doi 10.24432/C50P49, CC BY 4.0.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
order = np.random.default_rng(1998).permutation(len(digits.target))
images = np.round(digits.images[order] * (255 / 16)).astype(np.uint8)[:, None]
labels = digits.target[order].astype(np.uint8)
np.savez_compressed(Path(__file__).with_name("digits.npz"), images=images, labels=labels)
